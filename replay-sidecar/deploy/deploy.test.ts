/**
 * The manifests beside this file, in Deployments as Flagsmith's Helm chart 0.81.0 makes them, checked by the real API
 * server.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';

import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { type ApiClient, connectApi } from '@edge-migration/test/cluster/api-client.ts';
import { kubernetes } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

import { captureConfiguration } from '../capture/config.ts';

const container = z.looseObject({
  name: z.string(),
  args: z.array(z.string()),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })),
  volumeMounts: z.array(z.looseObject({ name: z.string() })),
  resources: z.object({ limits: z.object({ memory: z.string() }) }),
});
const volume = z.looseObject({
  name: z.string(),
  emptyDir: z.object({ sizeLimit: z.string() }).optional(),
  secret: z.looseObject({ secretName: z.string(), optional: z.boolean().optional() }).optional(),
});
const snippet = z.strictObject({
  initContainers: z.array(container),
  volumes: z.array(volume),
  terminationGracePeriodSeconds: z.int(),
});
const values = z.strictObject({
  service: z.strictObject({ api: z.strictObject({ port: z.int() }) }).prefault({ api: { port: 8000 } }),
  api: z.strictObject({
    command: z.array(z.string()).optional(),
    extraEnv: z.record(z.string(), z.string()),
    enableMigrateDbInitContainer: z.boolean().default(true),
    terminationGracePeriodSeconds: z.int(),
    extraInitContainers: z.array(container),
    extraVolumes: z.array(volume),
  }),
  extraObjects: z.array(z.looseObject({ kind: z.string() })).default([]),
});
type Values = z.output<typeof values>;
type PodSpec = ReturnType<typeof podSpec>;

const read = (name: string): unknown => parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const sidecar = snippet.parse(read('sidecar.yaml'));
const [capture] = sidecar.initContainers as [z.output<typeof container>];

const LABELS = { 'app.kubernetes.io/name': 'flagsmith', 'app.kubernetes.io/component': 'api' };
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** The chart's pod for these values, otherwise with its defaults. */
function podSpec({ api, service }: Values) {
  const { port } = service.api;
  const probe = (path: string) => ({ httpGet: { path, port }, timeoutSeconds: 2 });
  const migrate = {
    name: 'migrate-db',
    image: 'flagsmith/flagsmith-api:2.227.0',
    args: ['migrate'],
    securityContext: RESTRICTED,
  };
  return {
    terminationGracePeriodSeconds: api.terminationGracePeriodSeconds,
    initContainers: [...(api.enableMigrateDbInitContainer ? [migrate] : []), ...api.extraInitContainers],
    containers: [
      {
        name: 'flagsmith-api',
        image: 'flagsmith/flagsmith-api:2.227.0',
        ...(api.command === undefined ? { args: ['serve'] } : { command: api.command }),
        env: Object.entries(api.extraEnv).map(([name, value]) => ({ name, value })),
        ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
        livenessProbe: probe('/health/liveness/'),
        readinessProbe: probe('/health/readiness/'),
        securityContext: RESTRICTED,
      },
    ],
    volumes: api.extraVolumes,
  };
}

function deployment(spec: PodSpec) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'flagsmith-api', labels: LABELS },
    spec: {
      replicas: 2,
      selector: { matchLabels: LABELS },
      template: { metadata: { labels: LABELS }, spec },
    },
  };
}

/** The configuration that the sidecar's process reads from the container's environment. */
function configurationOf(given: z.output<typeof container>) {
  const environment = Object.fromEntries(given.env.map(({ name, value }) => [name, value ?? 'from-the-pod']));
  return parseEnvironment(captureConfiguration, environment);
}

const VARIANTS = ['flagsmith-values-loopback-api.yaml', 'flagsmith-values-service-port.yaml'];
const variants = VARIANTS.map((name) => [name, values.parse(read(name))] as const);

describe('the manifest of the sidecar', () => {
  it('configures the sidecar completely', () => {
    expect(configurationOf(capture)).toMatchObject({ podName: 'from-the-pod', natsServers: [expect.any(String)] });
  });

  it('leaves the volume room for what the spool may exceed its limit by', () => {
    const spool = sidecar.volumes.find(({ emptyDir }) => emptyDir !== undefined);
    expect(spool?.emptyDir?.sizeLimit).toBe('1Gi');
    expect(configurationOf(capture).spoolMaxBytes).toBeLessThanOrEqual(1024 ** 3 / 2);
  });

  it("gives the sidecar its time after gunicorn's", () => {
    const gunicornSeconds = 30;
    expect(configurationOf(capture).shutdownSeconds + gunicornSeconds).toBeLessThan(
      sidecar.terminationGracePeriodSeconds,
    );
  });

  it('starts Node with flags that it knows, and for which the image has its code compiled', () => {
    const tagWith = (flags: readonly string[]) =>
      execFileSync(process.execPath, [...flags, '-p', 'v8.cachedDataVersionTag()'], { encoding: 'utf8' });
    const flagsOf = (args: readonly string[]) => args.filter((argument) => argument.startsWith('--'));
    const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
    const warmed = [...dockerfile.matchAll(/^RUN (\[.*"scripts\/warm-compile-cache\.mjs".*\])$/gm)];
    const tags = warmed.map(([, command = '']) => tagWith(flagsOf(JSON.parse(command))));
    expect(tags).toContain(tagWith(flagsOf(capture.args)));
  });

  it('limits the heap well below the memory of the container, which Node itself does not', () => {
    const [, heap] = /--max-old-space-size=(\d+)/.exec(capture.args.join(' ')) ?? [];
    const [, limit] = /^(\d+)Mi$/.exec(capture.resources.limits.memory) ?? [];
    expect(Number(heap)).toBeLessThan(Number(limit) / 2);
  });

  it('mounts only volumes that exist', () => {
    const volumes = sidecar.volumes.map(({ name }) => name);
    expect(volumes).toEqual(expect.arrayContaining(capture.volumeMounts.map(({ name }) => name)));
  });

  it('does not keep the API from starting where its Secret is missing', () => {
    const secrets = sidecar.volumes.flatMap(({ secret }) => secret ?? []);
    expect(secrets).toMatchObject([{ secretName: 'edge-migration-nats', optional: true }]);
  });
});

describe.each(variants)('%s', (_, given) => {
  it('has the container and the volumes of the manifest, except for the ports', () => {
    const withoutPorts = (one: z.output<typeof container>) => ({
      ...one,
      env: one.env.filter(({ name }) => !/_(LISTEN|UPSTREAM)_ADDRESS$/.test(name)),
    });
    expect(given.api.extraInitContainers.map(withoutPorts)).toEqual([withoutPorts(capture)]);
    expect(given.api.extraVolumes).toEqual(sidecar.volumes);
    expect(given.api.terminationGracePeriodSeconds).toBe(sidecar.terminationGracePeriodSeconds);
  });

  it('puts the sidecar where the Service points, and the API where the sidecar forwards to', () => {
    const [{ env }] = given.api.extraInitContainers as [z.output<typeof container>];
    const { listenAddress, upstreamAddress } = configurationOf({ ...capture, env });
    const bind = given.api.command?.[given.api.command.indexOf('--bind') + 1];
    expect(listenAddress.port).toBe(given.service.api.port);
    expect(upstreamAddress.port).toBe(bind === undefined ? 8000 : Number(bind.split(':')[1]));
    expect(upstreamAddress.port).not.toBe(listenAddress.port);
  });

  it('makes gunicorn trust no address, neither the sidecar nor a network', () => {
    const trusted = given.api.extraEnv['FORWARDED_ALLOW_IPS']?.split(',') ?? ['127.0.0.1', '::1'];
    const documentation = new BlockList();
    documentation.addSubnet('192.0.2.0', 24);
    expect(trusted.filter((address) => !documentation.check(address))).toEqual([]);
  });
});

describe('the API server', () => {
  const namespace = 'sidecar-manifests';
  let api: ApiClient;
  beforeAll(async () => {
    api = connectApi((await kubernetes()).kubeconfig);
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await api.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels },
    });
  });
  afterAll(async () => {
    await api?.delete(`/api/v1/namespaces/${namespace}`);
    await api?.close();
  });

  const dryRun = 'dryRun=All&fieldValidation=Strict';
  const PATHS: Record<string, string> = {
    Deployment: `/apis/apps/v1/namespaces/${namespace}/deployments?${dryRun}`,
    Pod: `/api/v1/namespaces/${namespace}/pods?${dryRun}`,
    NetworkPolicy: `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies?${dryRun}`,
  };

  it.each(variants)('accepts the Deployment that the chart makes of %s, field by field', async (_, given) => {
    const answer = await api.create(PATHS['Deployment']!, deployment(podSpec(given)));
    expect(answer).toMatchObject({
      spec: {
        template: { spec: { initContainers: [{}, { name: 'edge-migration-capture', restartPolicy: 'Always' }] } },
      },
    });
  });

  it.each(variants)('accepts its pod under the restricted pod security standard (%s)', async (_, given) => {
    const spec = { ...podSpec(given), serviceAccountName: 'default' };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'flagsmith-api-1', labels: LABELS }, spec };
    await expect(api.create(PATHS['Pod']!, pod)).resolves.toMatchObject({ kind: 'Pod' });
  });

  it.each(variants)('accepts the objects that come with %s', async (_, given) => {
    for (const object of given.extraObjects) {
      await expect(api.create(PATHS[object.kind]!, object)).resolves.toMatchObject({ kind: object.kind });
    }
  });

  it('would refuse a misspelt field', async () => {
    const [, given] = variants[0]!;
    const spec = podSpec(given);
    const wrong = { ...spec, initContainers: [{ ...capture, restartPolice: 'Always' }] };
    await expect(api.create(PATHS['Deployment']!, deployment(wrong as PodSpec))).rejects.toThrow(/restartPolice/);
  });
});
