import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { CORE_API } from '../e2e/replay-parts.ts';
import type { RealImages } from './installation.ts';
import { describeNamespace, RESTRICTED } from './services.ts';

const VALUES = new URL('../../replay-sidecar/deploy/flagsmith-values-loopback-api.yaml', import.meta.url);

const named = z.looseObject({ name: z.string() });
const values = z.object({
  api: z.object({
    terminationGracePeriodSeconds: z.int(),
    extraInitContainers: z.tuple([
      z.looseObject({
        image: z.string(),
        env: z.array(z.looseObject({ name: z.string() })),
        volumeMounts: z.array(named),
      }),
    ]),
    extraVolumes: z.array(named),
  }),
});

export interface CoreApiOptions {
  readonly images: RealImages;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  /** Another value replaces the pods. */
  readonly revision: string;
}

const LABELS = { 'app.kubernetes.io/name': 'flagsmith', 'app.kubernetes.io/component': 'api' };

/**
 * The fixture Core API in a Deployment like that of Flagsmith's chart with the shipped values, with the
 * sidecar as a native sidecar. Only NATS's address differs.
 */
export async function describeCoreApi(options: CoreApiOptions): Promise<object[]> {
  const { images, databaseUrl, natsUrl, revision } = options;
  const { api } = values.parse(parse(await readFile(VALUES, 'utf8')));
  const [shipped] = api.extraInitContainers;
  const env = shipped.env.map((each) =>
    each.name === 'EDGE_MIGRATION_NATS_SERVERS' ? { name: each.name, value: natsUrl } : each,
  );
  const sidecar = { ...shipped, image: images.product, env };
  const probe = { httpGet: { path: '/health/readiness/', port: 8000 }, timeoutSeconds: 2, periodSeconds: 2 };
  const container = {
    name: 'flagsmith-api',
    image: images.fixture,
    imagePullPolicy: 'IfNotPresent',
    args: ['test/core/api/main.ts'],
    env: Object.entries({
      EDGE_MIGRATION_HOST: '127.0.0.1',
      EDGE_MIGRATION_PORT: '8001',
      EDGE_MIGRATION_DATABASE_URL: databaseUrl,
      EDGE_MIGRATION_ADMIN_TOKEN: CORE_API.adminToken,
      EDGE_MIGRATION_ENVIRONMENT_CACHE_SECONDS: '1',
      EDGE_MIGRATION_THREADS: '8',
    }).map(([name, value]) => ({ name, value })),
    ports: [{ name: 'http', containerPort: 8000 }],
    readinessProbe: probe,
    livenessProbe: { ...probe, httpGet: { path: '/health/liveness/', port: 8000 }, failureThreshold: 10 },
    securityContext: { ...RESTRICTED, runAsUser: 65532 },
  };
  const spec = {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: api.terminationGracePeriodSeconds,
    securityContext: { fsGroup: 65532 },
    initContainers: [sidecar],
    containers: [container],
    volumes: api.extraVolumes,
  };
  const metadata = { name: 'flagsmith-api', namespace: CORE_API.namespace, labels: LABELS };
  const template = { metadata: { labels: LABELS, annotations: { revision } }, spec };
  return [
    describeNamespace(CORE_API.namespace),
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { replicas: 2, selector: { matchLabels: LABELS }, template },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: LABELS, ports: [{ name: 'http', port: 8000, targetPort: 'http' }] },
    },
  ];
}
