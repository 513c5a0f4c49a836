/** Commands while the API server fails or moves on; its own behaviour is tested in test/integration/cli.test.ts. */
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { until } from '@edge-migration/kubernetes/testing/until.ts';
import { decideSuspend } from '@edge-migration/operator/requests/change.ts';
import { describe, expect, test } from 'vitest';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { select } from '../selection.ts';
import { changeAll } from './change.ts';
import { watch } from './watch.ts';

const fake = useFake([EDGE_MIGRATIONS], { retries: 0 });
const SELECTION = { projects: [42], allNamespaces: false };
const reference = { namespace: 'customers', name: 'project-42' };

function createContext({ isInteractive = false, rows = 24, answer = undefined as boolean | undefined } = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const context: Context = {
    cluster: { client: fake.client, kubeConfig: fake.server.kubeConfig(), namespace: 'customers' },
    clock: fake.clock,
    signal: new AbortController().signal,
    terminal: {
      isInteractive,
      columns: 80,
      rows,
      write: (text) => void out.push(text),
      warn: (text) => void err.push(text),
      paint: (_, text) => text,
      confirm: async () => answer,
    },
  };
  return { context, out, err };
}

async function start(name = reference.name, projectId = 42) {
  const head = { apiVersion: 'edge.flagsmith.com/v1alpha1', kind: 'EdgeMigration' };
  await fake.client.create(EDGE_MIGRATIONS, { ...head, metadata: { ...reference, name }, spec: { projectId } });
}

async function setStatus(status: Record<string, unknown>) {
  const { generation } = (await fake.client.get(EDGE_MIGRATIONS, reference))!.metadata;
  const patch = { status: { observedGeneration: generation, ...status } };
  await fake.client.patch(EDGE_MIGRATIONS, reference, patch, { subresource: 'status' });
}

const ended = (status: 'True' | 'False') => [
  { type: 'Succeeded', status, reason: 'Any', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' },
];

/** Between two polls; requests have longer deadlines. */
const paused = (milliseconds: number) => until(() => fake.clock.pending()[0] === milliseconds);

describe('watch', () => {
  test('watch without a terminal prints a line at each poll, and ends with the migration', async () => {
    await start();
    await setStatus({ phase: 'Copying', progress: '1/2 (50%)' });
    const { context, out } = createContext();
    const watching = watch(context, SELECTION, { intervalSeconds: 5 });
    await paused(5_000);
    await setStatus({ phase: 'Succeeded', progress: '2/2 (100%)', conditions: ended('True') });
    await fake.clock.advance(5_000);
    expect(await watching).toBe(EXIT.done);
    expect(out).toEqual([
      'customers/project-42  Copying  1/2 (50%)\n',
      'customers/project-42  Succeeded  2/2 (100%)\n',
    ]);
  });

  test('watch on a terminal redraws its output in place', async () => {
    await start();
    await setStatus({ phase: 'Planning' });
    const { context, out } = createContext({ isInteractive: true });
    const watching = watch(context, SELECTION, {});
    await paused(2_000);
    await setStatus({ phase: 'Failed', conditions: ended('False'), message: 'the project was deleted' });
    await fake.clock.advance(2_000);
    expect(await watching).toBe(EXIT.unwell);
    expect(out).toEqual([
      'customers/project-42  Planning\n',
      '\u001b[1A\u001b[Jcustomers/project-42  Failed\n  the project was deleted\n',
    ]);
  });

  test('watch never draws more lines than the terminal has, which it could not redraw', async () => {
    for (const id of [42, 43, 44, 45, 46, 47]) await start(`project-${id}`, id);
    await setStatus({ conditions: ended('True') });
    const { context, out } = createContext({ isInteractive: true, rows: 4 });
    const stop = new AbortController();
    const watching = watch({ ...context, signal: stop.signal }, { ...SELECTION, projects: [] }, {});
    await paused(2_000);
    stop.abort(new Error('Ctrl-C'));
    await expect(watching).rejects.toThrow('Ctrl-C');
    expect(out[0]!.split('\n')).toEqual([
      'customers/project-42  Unknown',
      'customers/project-43  Unknown',
      '… 4 more lines',
      '',
    ]);
  });

  test('watch survives a temporary failure of the API server, except at the first poll', async () => {
    await start();
    await setStatus({ phase: 'Copying' });
    const { context, err } = createContext();
    const watching = watch(context, SELECTION, { intervalSeconds: 5 });
    await paused(5_000);
    fake.server.fail(() => true, { status: 503 });
    await fake.clock.advance(5_000);
    await paused(5_000);
    expect(err).toEqual([expect.stringMatching(/503.*; retrying$/)]);
    await setStatus({ phase: 'Succeeded', conditions: ended('True') });
    await fake.clock.advance(5_000);
    expect(await watching).toBe(EXIT.done);
    fake.server.fail(() => true, { status: 503 });
    await expect(watch(context, SELECTION, {})).rejects.toThrow('503');
  });

  test('watch ends when the migration is deleted meanwhile', async () => {
    await start();
    const { context } = createContext();
    const watching = watch(context, SELECTION, { intervalSeconds: 5 });
    const failure = expect(watching).rejects.toMatchObject({ code: EXIT.notFound });
    await paused(5_000);
    await fake.client.delete(EDGE_MIGRATIONS, reference);
    await fake.clock.advance(5_000);
    await failure;
  });
});

describe('a change', () => {
  const options = { dryRun: false, yes: false };
  const readTargets = async (context: Context) =>
    (await select(context.cluster, SELECTION, context.signal)).map(({ migration }) => ({ reference, migration }));

  test('a change is decided again on the current state if the EdgeMigration was changed meanwhile', async () => {
    await start();
    const { context, out } = createContext();
    const targets = await readTargets(context);
    fake.server.fail(({ verb }) => verb === 'patch', { status: 409, reason: 'Conflict' });
    expect(await changeAll(context, targets, (migration) => decideSuspend(migration!), options)).toBe(EXIT.done);
    expect(out).toEqual(['customers/project-42 is suspended: events are kept, and the deadline stays\n']);
    expect((await fake.client.get(EDGE_MIGRATIONS, reference))!['spec']).toMatchObject({ suspend: true });
  });

  test('a change names the object that was read, so that a later one of the same name is never changed', async () => {
    await start();
    const { context } = createContext();
    const [target] = await readTargets(context);
    await changeAll(context, [target!], (migration) => decideSuspend(migration!), options);
    const patch = fake.server.requests.find(({ verb }) => verb === 'patch');
    const { uid, resourceVersion } = target!.migration;
    expect(patch!.body['metadata']).toEqual({ uid, resourceVersion });
  });

  test.each([false, undefined])('an irreversible change is not made when the answer is %s', async (answer) => {
    await start();
    const { context } = createContext({ answer: answer as boolean });
    const targets = await readTargets(context);
    const decide = () =>
      ({ kind: 'patch', spec: {}, message: 'x', warnings: [{ code: 'gap', text: 'it is for good' }] }) as const;
    await expect(changeAll(context, targets, decide, options)).rejects.toMatchObject({ code: EXIT.declined });
    expect(fake.server.requests.filter(({ verb }) => verb === 'patch')).toEqual([]);
  });
});
