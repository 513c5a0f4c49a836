import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { describe, expect, test } from 'vitest';
import { migration } from '../edge-migration/testing/facts.ts';
import { nameHandover } from './job.ts';
import { HandoverRunner } from './runner.ts';

const NAMESPACE = 'flagsmith';
const TIMEOUT_SECONDS = 600;
/** A hand-over, its termination message, and its start. */
const LONGEST_MS = 690_000;
const fake = useFake([JOBS, PODS]);
const { signal } = new AbortController();

/** Six projects request a hand-over, and the Core API exists. */
function prepare() {
  const { server, client, clock } = fake;
  server.store.create(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'api', namespace: NAMESPACE, labels: { app: 'api' } },
    spec: { containers: [{ name: 'api', image: 'flagsmith-api' }] },
  });
  const options = { namespace: NAMESPACE, selector: 'app=api', timeoutSeconds: TIMEOUT_SECONDS, tables: {} };
  const runner = new HandoverRunner({ client, clock, ...options });
  const logger = createLogger('test', 'silent');
  const projects = [1, 2, 3, 4, 5, 6].map((id) => migration({ name: `project-${id}`, uid: `${id}0000000-0000` }));
  const readAll = () => Promise.all(projects.map((each) => runner.inspect(each, 'before', signal)));
  const kinds = async () => (await readAll()).map(({ kind }) => kind);
  async function startAll(): Promise<void> {
    for (const each of projects) {
      const { kind } = await runner.inspect(each, 'before', signal);
      if (kind === 'absent') await runner.start(client, { migration: each, logger, signal }, 'before');
    }
  }
  function end(index: number): void {
    const reference = { namespace: NAMESPACE, name: nameHandover(projects[index]!, 'before') };
    const conditions = [{ type: 'Complete', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    server.store.merge(JOBS, reference, { status: { conditions } }, 'status');
  }
  function garble(index: number): void {
    const reference = { namespace: NAMESPACE, name: nameHandover(projects[index]!, 'before') };
    server.store.merge(JOBS, reference, { status: { conditions: [{ type: 'Complete', status: true }] } }, 'status');
  }
  return { readAll, kinds, startAll, end, garble };
}

describe('the cached state of a hand-over that could not be started', () => {
  const logger = createLogger('test', 'silent');
  const before = migration({ uid: '10000000-0000' });

  async function fail() {
    const { client, clock } = fake;
    const options = { namespace: NAMESPACE, selector: 'app=api', timeoutSeconds: TIMEOUT_SECONDS, tables: {} };
    const runner = new HandoverRunner({ client, clock, ...options });
    await runner.inspect(before, 'before', signal);
    await runner.start(client, { migration: before, logger, signal }, 'before');
    expect(await runner.inspect(before, 'before', signal)).toMatchObject({ kind: 'ended', outcome: 'failed' });
    return runner;
  }

  test('is discarded with its EdgeMigration', async () => {
    const runner = await fail();
    runner.forget(`${before.namespace}/${before.name}`);
    expect(await runner.inspect(before, 'before', signal)).toEqual({ kind: 'absent' });
  });

  test('is discarded when its EdgeMigration is deleted and re-created', async () => {
    const runner = await fail();
    await runner.inspect({ ...before, uid: '20000000-0000' }, 'before', signal);
    expect(await runner.inspect(before, 'before', signal)).toEqual({ kind: 'absent' });
  });
});

describe('hand-overs that are requested at the same time', () => {
  test('run four at once; each of the others starts when one has ended', async () => {
    const { kinds, startAll, end } = prepare();
    await startAll();
    expect(await kinds()).toEqual(['running', 'running', 'running', 'running', 'queued', 'queued']);
    end(0);
    await fake.clock.advance(10_000);
    await kinds();
    await fake.clock.advance(10_000);
    await startAll();
    expect(await kinds()).toEqual(['ended', 'running', 'running', 'running', 'running', 'queued']);
  });

  test('block others no longer than one may take, whether they run or wait', async () => {
    const { readAll, kinds, startAll } = prepare();
    await startAll();
    await kinds();
    await fake.clock.advance(LONGEST_MS + 1);
    expect(await readAll()).toMatchObject([
      ...Array.from({ length: 4 }, () => ({ kind: 'running', isOverdue: true })),
      { kind: 'absent' },
      { kind: 'absent' },
    ]);
  });
});

test('a hand-over that cannot be started gives its turn to another', async () => {
  const { kinds, startAll } = prepare();
  fake.server.fail(({ verb }) => verb === 'create', { status: 403, reason: 'Forbidden' }, 2);
  await startAll();
  expect(await kinds()).toEqual(['ended', 'ended', 'running', 'running', 'running', 'running']);
});

test('an unreadable Job is reported as a failure, and the migration continues', async () => {
  const { readAll, startAll, garble } = prepare();
  await startAll();
  garble(0);
  await fake.clock.advance(1_000);
  const [found] = await readAll();
  expect(found).toMatchObject({ kind: 'ended', outcome: 'failed' });
  expect(found).toHaveProperty('words', expect.stringMatching(/^its Job cannot be read: /));
});

describe('a hand-over that failed', () => {
  const [POD, JOB] = [PODS, JOBS];
  const template = (hash: string) => ({ app: 'api', 'pod-template-hash': hash });

  function prepareOne() {
    const { server, client, clock } = fake;
    const createPod = (name: string, hash: string) =>
      server.store.create(POD, {
        ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE, labels: template(hash) } },
        spec: { containers: [{ name: 'api', image: 'flagsmith-api' }] },
      });
    const removePod = (name: string) => server.store.remove(POD, { namespace: NAMESPACE, name });
    const options = { namespace: NAMESPACE, selector: 'app=api', timeoutSeconds: TIMEOUT_SECONDS, tables: {} };
    const logger = createLogger('test', 'silent');
    let current: EdgeMigration = migration({ generation: 1 });
    let runner = new HandoverRunner({ client, clock, ...options });
    const reference = { namespace: NAMESPACE, name: nameHandover(current, 'before') };
    const readAll = async () => {
      await clock.advance(31_000);
      return runner.inspect(current, 'before', signal);
    };
    const start = () => runner.start(client, { migration: current, logger, signal }, 'before');
    /** Removes the finished Job, starts it again, and lets it fail. */
    async function fail(): Promise<void> {
      await start();
      if (server.store.all(JOB).length === 0) await start();
      const conditions = [{ type: 'Failed', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
      server.store.merge(JOB, reference, { status: { conditions } }, 'status');
    }
    const edit = (generation: number) => {
      current = { ...current, generation };
    };
    const restart = () => {
      runner = new HandoverRunner({ client, clock, ...options });
    };
    return { createPod, removePod, readAll, start, fail, edit, restart };
  }

  test('is counted, even by another replica, until its spec or the pods of the Core API change', async () => {
    const { createPod, removePod, readAll, fail, edit, restart } = prepareOne();
    createPod('api-1', 'a');
    await fail();
    expect(await readAll()).toMatchObject({ kind: 'ended', attempt: 1, isOutdated: false });
    await fail();
    restart();
    await fail();
    expect(await readAll()).toMatchObject({ attempt: 3, isOutdated: false });
    edit(2);
    expect(await readAll()).toMatchObject({ attempt: 3, isOutdated: true });
    await fail();
    expect(await readAll()).toMatchObject({ attempt: 1, isOutdated: false });
    createPod('api-2', 'b');
    expect(await readAll()).toMatchObject({ isOutdated: false });
    removePod('api-1');
    expect(await readAll()).toMatchObject({ isOutdated: true });
  });

  test('for lack of a pod of the Core API is outdated once there is one', async () => {
    const { createPod, readAll, start } = prepareOne();
    await start();
    await start();
    expect(await readAll()).toMatchObject({ kind: 'ended', job: undefined, attempt: 2, isOutdated: false });
    createPod('api-1', 'a');
    expect(await readAll()).toMatchObject({ isOutdated: true });
  });
});
