import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type OperatorRun, runOperatorHere } from '../e2e/operator-run.ts';
import { useWorld } from '../e2e/operator-setup.ts';
import { NAMESPACE } from '../e2e/operator-world.ts';

/*
 * Every field of the spec is set to a wrong value while a migration runs, and reverted. Either the API server
 * rejects it and names the rule, or it takes effect; in the end the migration completes without help.
 */

const MINUTE = 60_000;
const setup = useWorld();
let operator: OperatorRun;

beforeAll(() => {
  operator = runOperatorHere(setup.world, { kubeconfig: setup.kubeconfig });
});
afterAll(() => operator?.stop());

type Fields = Record<string, unknown>;
/** The pod runner here makes no comparisons. */
const UNVERIFIED = { verify: { afterCopy: 'Never', atDeadline: 'Never' } };

const reference = (projectId: number) => ({ namespace: NAMESPACE, name: `project-${projectId}` });
const edit = (projectId: number, spec: Fields) =>
  setup.world.client.patch(EDGE_MIGRATIONS, reference(projectId), { spec });
const read = async (projectId: number) => (await setup.world.migration(projectId)) ?? expect.unreachable('it is gone');

/** A migration whose pods run and do not end. */
async function startMigration(spec: Fields = {}): Promise<number> {
  const [projectId = 0] = await setup.world.addProjects(1);
  await setup.world.create(projectId, { ...UNVERIFIED, ...spec });
  await waitFor(async () => (await findJob(projectId)) !== undefined, { for: 'the Job', timeoutMs: 4 * MINUTE });
  return projectId;
}

interface Job {
  spec: { parallelism: number; suspend: boolean };
}

async function findJob(projectId: number): Promise<Job | undefined> {
  const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
  const { items } = await setup.world.client.list(JOBS, { namespace: NAMESPACE, labelSelector });
  return items.at(-1) as Job | undefined;
}

/** Settings that pods follow live. */
async function readSettings(projectId: number): Promise<Fields> {
  const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
  const { items } = await setup.world.client.list(CONFIG_MAPS, { namespace: NAMESPACE, labelSelector });
  const texts = items.map((item) => (item['data'] as Record<string, string> | undefined)?.['settings']);
  return JSON.parse(texts.find((text) => text !== undefined) ?? '{}');
}

const parallelism = async (projectId: number) => (await findJob(projectId))?.spec.parallelism;
const isSuspended = async (projectId: number) => (await findJob(projectId))?.spec.suspend;
const setting = (name: string) => async (projectId: number) => (await readSettings(projectId))[name];
const retry = async (projectId: number) => (await read(projectId)).status.observedRetry;
/** For changes with a later effect: waits until the operator has observed them. */
const specOf =
  (...path: string[]) =>
  async (projectId: number) => {
    const { spec, status, generation } = await read(projectId);
    if (status.observedGeneration !== generation) return undefined;
    return path.reduce<unknown>((value, name) => (value as Fields)[name], spec);
  };

interface Case {
  /** The change in `kubectl edit`. */
  set: Fields;
  /** The expected effect. */
  effect: (projectId: number) => Promise<unknown>;
  value: unknown;
  /** The effect of {@link back}; left out if there is no way back. */
  before?: unknown;
  /** `null` removes a field, which restores its default. */
  back: Fields;
}

const ACCEPTED: Record<string, Case> = {
  'suspend: true': { set: { suspend: true }, effect: isSuspended, value: true, before: false, back: { suspend: null } },
  'copy.parallelism at its minimum': {
    set: { copy: { parallelism: 1 } },
    effect: parallelism,
    value: 1,
    before: 4,
    back: { copy: { parallelism: null } },
  },
  'copy.parallelism at its maximum': {
    set: { copy: { parallelism: 64 } },
    effect: parallelism,
    value: 64,
    before: 4,
    back: { copy: null },
  },
  'copy.pageSize at its minimum': {
    set: { copy: { pageSize: 10 } },
    effect: setting('pageSize'),
    value: 10,
    before: 1000,
    back: { copy: null },
  },
  'copy.pageSize at its maximum': {
    set: { copy: { pageSize: 5000 } },
    effect: setting('pageSize'),
    value: 5000,
    before: 1000,
    back: { copy: { pageSize: 1000 } },
  },
  'copy.maxWriteUnitsPerSecond at its minimum': {
    set: { copy: { parallelism: 1, maxWriteUnitsPerSecond: 10 } },
    effect: setting('maxWriteUnitsPerSecond'),
    value: 10,
    before: 4000,
    back: { copy: null },
  },
  'copy.maxWriteUnitsPerSecond at its maximum': {
    set: { copy: { maxWriteUnitsPerSecond: 400_000 } },
    effect: setting('maxWriteUnitsPerSecond'),
    value: 400_000,
    before: 4000,
    back: { copy: null },
  },
  'copy.onConflict: CoreWins': {
    set: { copy: { onConflict: 'CoreWins' } },
    effect: setting('onConflict'),
    value: 'CoreWins',
    before: 'KeepEdge',
    back: { copy: null },
  },
  'copy: {}': { set: { copy: {} }, effect: setting('pageSize'), value: 1000, before: 1000, back: { copy: null } },
  'replay.windowSeconds at its minimum': {
    set: { replay: { windowSeconds: 0 } },
    effect: specOf('replay', 'windowSeconds'),
    value: 0,
    before: 2_419_200,
    back: { replay: null },
  },
  'replay.windowSeconds at its maximum': {
    set: { replay: { windowSeconds: 31_536_000 } },
    effect: specOf('replay', 'windowSeconds'),
    value: 31_536_000,
    before: 2_419_200,
    back: { replay: null },
  },
  'retry of one character': { set: { retry: 'x' }, effect: retry, value: 'x', back: { retry: null } },
  'retry of 63 characters': {
    set: { retry: 'x'.repeat(63) },
    effect: retry,
    value: 'x'.repeat(63),
    back: { retry: null },
  },
};

describe('an allowed change of the spec in a migration takes effect, can be reverted, and the migration ends well', {
  timeout: 4 * MINUTE,
}, () => {
  const projects = new Map<string, number>();

  beforeAll(async () => {
    setup.pods.hold(true);
    for (const name of Object.keys(ACCEPTED)) projects.set(name, await startMigration());
  });

  test.each(Object.entries(ACCEPTED))('%s', async (name, { set, effect, value, before, back }) => {
    const projectId = projects.get(name) ?? 0;
    const shows = (expected: unknown) => async () => (await effect(projectId)) === expected;
    await edit(projectId, set);
    await waitFor(shows(value), { for: `${name} to have its effect`, timeoutMs: 3 * MINUTE });
    await edit(projectId, back);
    if (before !== undefined) await waitFor(shows(before), { for: 'the default again', timeoutMs: 3 * MINUTE });
  });

  test('all of these migrations complete once their pods do', async () => {
    setup.pods.hold(false);
    await setup.world.condition([...projects.values()], 'Succeeded', 'True');
    for (const projectId of projects.values()) {
      expect(await setup.world.jobs(projectId)).toHaveLength(1);
      expect((await read(projectId)).status.conditions?.find(({ type }) => type === 'Degraded')?.status).toBe('False');
    }
  });
});

describe('a forbidden change is rejected with the broken rule, and has no effect', { timeout: 12 * MINUTE }, () => {
  let projectId: number;
  let before: unknown;

  beforeAll(async () => {
    setup.pods.hold(true);
    projectId = await startMigration();
    before = (await setup.world.client.get(EDGE_MIGRATIONS, reference(projectId)))?.['spec'];
  });

  test.each<[string, Fields, RegExp]>([
    ['another project', { projectId: 5 }, /projectId must not be changed/],
    ['no project', { projectId: null }, /spec\.projectId: Required value/],
    ['a project in letters', { projectId: 'five' }, /spec\.projectId.*must be of type integer/],
    ['a migration turned back into a plan', { mode: 'Plan' }, /mode must not go from Migrate back to Plan/],
    ['an unknown mode', { mode: 'Move' }, /supported values: "Migrate", "Plan"/],
    ['an empty mode', { mode: '' }, /supported values: "Migrate", "Plan"/],
    ['suspend as text', { suspend: 'true' }, /spec\.suspend.*must be of type boolean/],
    ['an empty retry token', { retry: '' }, /spec\.retry/],
    ['a retry token with a space', { retry: 'try again' }, /spec\.retry/],
    ['a retry token of 64 characters', { retry: 'x'.repeat(64) }, /spec\.retry.*63/],
    ['no pods', { copy: { parallelism: 0 } }, /parallelism.*greater than or equal to 1/],
    ['65 pods', { copy: { parallelism: 65 } }, /parallelism.*less than or equal to 64/],
    ['a fractional number of pods', { copy: { parallelism: 1.5 } }, /parallelism.*must be of type integer/],
    ['a page of 9', { copy: { pageSize: 9 } }, /pageSize.*greater than or equal to 10/],
    ['a page of 5001', { copy: { pageSize: 5001 } }, /pageSize.*less than or equal to 5000/],
    ['9 write units', { copy: { maxWriteUnitsPerSecond: 9 } }, /maxWriteUnitsPerSecond.*greater than or equal to 10/],
    [
      'more write units than a table has',
      { copy: { maxWriteUnitsPerSecond: 400_001 } },
      /maxWriteUnitsPerSecond.*less than or equal to 400000/,
    ],
    [
      'too few write units for its pods',
      { copy: { parallelism: 64, maxWriteUnitsPerSecond: 100 } },
      /must be at least 5 for each of copy\.parallelism pods/,
    ],
    ['an unknown conflict rule', { copy: { onConflict: 'Newest' } }, /supported values: "KeepEdge", "CoreWins"/],
    ['a copy that is a list', { copy: [] }, /spec\.copy.*must be of type object/],
    ['a negative window', { replay: { windowSeconds: -1 } }, /windowSeconds.*greater than or equal to 0/],
    [
      'a window of more than a year',
      { replay: { windowSeconds: 31_536_001 } },
      /windowSeconds.*less than or equal to 31536000/,
    ],
    ['a window as a duration', { replay: { windowSeconds: '672h' } }, /windowSeconds.*must be of type integer/],
    ['an unknown verification', { verify: { afterCopy: 'Always' } }, /supported values: "Never", "Report", "Repair"/],
    ['no verification at all', { verify: { atDeadline: '' } }, /supported values: "Never", "Report", "Repair"/],
  ])('%s', async (_, spec, message) => {
    await expect(edit(projectId, spec)).rejects.toThrow(message);
  });

  test('a misspelt field, with kubectl', async () => {
    const text = `{"apiVersion":"edge.flagsmith.com/v1alpha1","kind":"EdgeMigration","metadata":{"name":"project-${projectId}","namespace":"${NAMESPACE}"},"spec":{"projectId":${projectId},"copy":{"paralelism":8}}}`;
    const apply = setup.world.controlPlane.kubectl(['apply', '-f', '-'], { input: text });
    await expect(apply).rejects.toThrow(/unknown field "spec\.copy\.paralelism"/);
  });

  test('the migration completes as if nothing had been tried', async () => {
    expect((await setup.world.client.get(EDGE_MIGRATIONS, reference(projectId)))?.['spec']).toEqual(before);
    setup.pods.hold(false);
    await setup.world.condition([projectId], 'Succeeded', 'True');
  });
});

describe('the operator reports what only Core can know', { timeout: 12 * MINUTE }, () => {
  test('a project that does not exist leaves nothing once its EdgeMigration is deleted', async () => {
    const nobody = 1_999_999_999;
    await setup.world.create(nobody, UNVERIFIED);
    await setup.world.condition([nobody], 'Accepted', 'False');
    expect((await read(nobody)).status.message).toMatch(/project 1999999999 is not in Core; check spec\.projectId/);
    await setup.world.delete(nobody);
    expect((await setup.world.describe(nobody)).objects).toEqual([]);
  });

  test('a plan that is changed to a migration while it runs is copied, and nothing of the plan continues', async () => {
    setup.pods.hold(true);
    const projectId = await startMigration({ mode: 'Plan' });
    expect(await setup.world.jobs(projectId)).toEqual([expect.stringMatching(/-plan-1$/)]);
    await edit(projectId, { mode: 'Migrate' });
    const isCopying = async () => (await setup.world.jobs(projectId)).join().match(/^\S+-copy-1$/) !== null;
    await waitFor(isCopying, { for: 'the copy alone', timeoutMs: 3 * MINUTE });
    setup.pods.hold(false);
    await setup.world.condition([projectId], 'Copied', 'True');
  });
});
