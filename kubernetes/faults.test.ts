import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { type ControlPlane, startControlPlane } from '@edge-migration/test/cluster/control-plane.ts';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from './client.ts';
import { loadKubeConfig } from './kube-config.ts';
import { createReflector } from './reflector.ts';
import { configMaps, enterRealApiServer } from './testing/real-api-server.ts';
import { until } from './testing/until.ts';

/** They wait for real leases and real restarts, on machines that may be busy. */
const TIMEOUT = 600_000;
const PROGRAM = fileURLToPath(new URL('testing/candidate-process.ts', import.meta.url));

interface Candidate {
  process: ChildProcess;
  lines: string[];
  exited: Promise<unknown>;
}

const candidates: Candidate[] = [];

/** Arguments: kubeconfig, namespace, identity, and before which write it freezes. */
function start(...args: string[]): Candidate {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const candidate = { process: child, lines, exited: new Promise((resolve) => child.once('close', resolve)) };
  candidates.push(candidate);
  return candidate;
}

afterEach(async () => {
  for (const { process: child, exited } of candidates.splice(0)) {
    child.kill('SIGKILL');
    await exited;
  }
});

describe('two replicas on a real API server', () => {
  let real: Awaited<ReturnType<typeof enterRealApiServer>>;
  beforeAll(async () => {
    real = await enterRealApiServer();
  });
  afterAll(() => real.leave());

  it('a replica never writes after a later leader’s first write, even if it froze right before a write', {
    timeout: TIMEOUT,
  }, async () => {
    const written = async () => {
      const { items } = await real.client.list(configMaps, { namespace: real.namespace });
      return items
        .filter(({ metadata }) => /^\d+-\d+$/.test(metadata.name))
        .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
        .map(({ metadata }) => Number(metadata.name.split('-')[0]));
    };
    const of = async (epoch: number) => (await written()).filter((each) => each === epoch).length;

    const first = start(real.kubeconfig, real.namespace, 'first', '20');
    await until(() => first.lines.includes('leading 0'));
    const second = start(real.kubeconfig, real.namespace, 'second');
    await until(() => second.lines.includes('leading 1'));
    await until(async () => (await of(1)) > 20);
    first.process.kill('SIGCONT');
    await first.exited;
    expect(first.lines).toEqual(['leading 0', 'leadership lost', 'write refused: true']);
    expect(await of(0)).toBe(20);

    // And once more by a SIGTERM, which hands over at once.
    const third = start(real.kubeconfig, real.namespace, 'third');
    second.process.kill('SIGTERM');
    await second.exited;
    await until(() => third.lines.includes('leading 2'));
    await until(async () => (await of(2)) > 5);
    third.process.kill('SIGTERM');
    await third.exited;
    expect(second.lines).toEqual(['leading 1', 'stopped']);

    const epochs = await written();
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
  });
});

describe('an API server that is killed', () => {
  let controlPlane: ControlPlane;
  beforeAll(async () => {
    controlPlane = await startControlPlane();
  });
  afterAll(() => controlPlane.stop());

  it('a reflector finds a killed API server again, and has kept its objects', { timeout: TIMEOUT }, async () => {
    const kubeConfig = loadKubeConfig(controlPlane.kubeconfig);
    const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'test' });
    const stop = new AbortController();
    const reflector = createReflector({
      ...{ client, clock: systemClock, logger: createLogger('test', 'silent') },
      resource: configMaps,
      namespaces: ['default'],
      parse: ({ metadata }) => metadata.name,
      timings: { backoff: { firstMs: 50, longestMs: 500 } },
    });
    const running = reflector.run(stop.signal);
    await reflector.synced;
    const create = (name: string) =>
      client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name } });
    await create('before');
    await until(() => reflector.get('default/before') !== undefined);

    await controlPlane.apiserver.kill('SIGKILL');
    await expect(create('during')).rejects.toThrow(/ECONNREFUSED/);
    expect(reflector.get('default/before')).toBe('before');
    await controlPlane.apiserver.restart();
    await create('after');
    await until(() => reflector.get('default/after') !== undefined);
    expect(reflector.keys()).toEqual(expect.arrayContaining(['default/before', 'default/after']));
    stop.abort(new Error('test over'));
    await running;
    await client.close();
  });
});
