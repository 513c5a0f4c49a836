import { readFile } from 'node:fs/promises';
import { parse, parseAllDocuments } from 'yaml';

/** Namespace of the Core API, and the selector of its pods. */
export const CORE_API = {
  namespace: 'flagsmith',
  selector: 'app.kubernetes.io/component=api',
  adminToken: 'admin-token',
};

const DEPLOY = new URL('../../replay-sidecar/deploy/', import.meta.url);
const IMAGE = 'edge-migration:0.1.0';

type Variable = { name: string; value?: string; valueFrom?: object };
interface Container {
  name: string;
  env: Variable[];
  volumeMounts?: { name: string }[];
}

/** The variables with some of them overridden; undefined ones are left out. */
function withVariables(env: readonly Variable[], changes: Readonly<Record<string, string | undefined>>): Variable[] {
  const kept = env.filter(({ name }) => !(name in changes));
  const set = Object.entries(changes).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
  return [...kept, ...set];
}

/** Settings of an operator that requires capture. */
export const captureEnvironment = (natsUrl: string) => ({
  EDGE_MIGRATION_CAPTURE: 'Required',
  EDGE_MIGRATION_NATS_SERVERS: natsUrl,
  EDGE_MIGRATION_CORE_API_NAMESPACE: CORE_API.namespace,
  EDGE_MIGRATION_CORE_API_SELECTOR: CORE_API.selector,
  // The embedded server has little room.
  EDGE_MIGRATION_STREAM_MAX_BYTES: String(64 * 1024 * 1024),
});

/** The appliers, from the shipped manifest, with some variables overridden. */
export async function readApplier(
  natsUrl: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<object[]> {
  const text = await readFile(new URL('applier.yaml', DEPLOY), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS());
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  const container = deployment.spec.template.spec.containers[0] as Container;
  container.env = withVariables(container.env, {
    EDGE_MIGRATION_NATS_SERVERS: natsUrl,
    EDGE_MIGRATION_PARKED_MAX_BYTES: String(64 * 1024 * 1024),
    ...environment,
  });
  return objects;
}

/**
 * Two pods of the Core API fixture with the sidecar in front, from the shipped snippet. All pods share this
 * machine's ports, so everything listens on the pod's own address.
 */
export async function describeCoreApi(
  databaseUrl: string,
  natsUrl: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<object[]> {
  const snippet = parse(await readFile(new URL('sidecar.yaml', DEPLOY), 'utf8'));
  const sidecar = snippet.initContainers[0] as Container;
  const podIp = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };
  sidecar.env = [
    podIp,
    ...withVariables(sidecar.env, {
      EDGE_MIGRATION_LISTEN_ADDRESS: '$(POD_IP):8000',
      EDGE_MIGRATION_UPSTREAM_ADDRESS: '$(POD_IP):8001',
      EDGE_MIGRATION_HEALTH_ADDRESS: '$(POD_IP):9464',
      EDGE_MIGRATION_NATS_SERVERS: natsUrl,
      EDGE_MIGRATION_NATS_USER: undefined,
      EDGE_MIGRATION_NATS_PASSWORD_FILE: undefined,
      ...environment,
    }),
  ];
  const isKept = ({ name }: { name: string }) => name !== 'edge-migration-nats';
  sidecar.volumeMounts = sidecar.volumeMounts?.filter(isKept) ?? [];
  const api = {
    name: 'flagsmith-api',
    image: IMAGE,
    args: ['test/core/api/main.ts'],
    env: [
      podIp,
      { name: 'EDGE_MIGRATION_HOST', value: '$(POD_IP)' },
      { name: 'EDGE_MIGRATION_PORT', value: '8001' },
      { name: 'EDGE_MIGRATION_DATABASE_URL', value: databaseUrl },
      { name: 'EDGE_MIGRATION_ADMIN_TOKEN', value: CORE_API.adminToken },
      { name: 'EDGE_MIGRATION_ENVIRONMENT_CACHE_SECONDS', value: '1' },
    ],
    ports: [{ name: 'http', containerPort: 8001 }],
    readinessProbe: { tcpSocket: { port: 8001 }, periodSeconds: 1 },
  };
  const labels = { 'app.kubernetes.io/name': 'flagsmith', 'app.kubernetes.io/component': 'api' };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'flagsmith-api', namespace: CORE_API.namespace, labels },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: snippet.terminationGracePeriodSeconds,
            initContainers: [sidecar],
            containers: [api],
            volumes: snippet.volumes.filter(isKept),
          },
        },
      },
    },
  ];
}
