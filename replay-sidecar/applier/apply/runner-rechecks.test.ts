import type { Stores } from '@edge-migration/identity/converge.ts';
import { CoreUnreachableError } from '@edge-migration/identity/core/errors.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { describe, expect, test } from 'vitest';
import { derivedHeaders, markRecheck } from '../consume/delivery.ts';
import { MigrationStoppedError } from '../schedule/project-aborts.ts';
import {
  ADA,
  coreOf,
  createParts,
  DOCUMENT,
  environment,
  found,
  type Others,
  PROJECT,
  work,
} from './testing/runner.ts';

describe('a recheck on tables of several regions', () => {
  const identity = { ...ADA, traits: [{ id: 2, key: 'age', type: 'int', value: 37 }] };
  const between = {
    clock: systemClock,
    edge: { identities: { get: async () => DOCUMENT, updateIfUnchanged: async () => 'written' } },
    core: found(identity),
  } as unknown as Stores;

  async function recheck(
    isOver: boolean,
    others: Others = { between },
    observed = 0,
    heldIn?: string,
    applied?: number,
  ) {
    const fields = derivedHeaders(undefined);
    markRecheck(fields, heldIn, applied);
    const looking = { ...work(fields), observed };
    const { parked, runner } = createParts(false, { recheckDelayMs: () => 10_000, isOver, ...others });
    await runner.apply(PROJECT, [looking]);
    return { parked, isDone: looking.isDone() };
  }

  test('that had to write does not report how late events are applied', async () => {
    const lags: number[] = [];
    await recheck(false, { between, onApplied: (_, lag) => void lags.push(lag) });
    expect(lags).toEqual([]);
  });

  test('that an applier of an earlier release has marked is one', async () => {
    const fields = derivedHeaders(undefined);
    fields.set('Edge-Migration-Look', 'true');
    const parked = work(fields);
    const lags: number[] = [];
    const options = { between, onApplied: (_: number, lag: number) => void lags.push(lag) };
    const { runner } = createParts(false, { recheckDelayMs: () => 10_000, isOver: true, ...options });
    await runner.apply(PROJECT, [parked]);
    expect({ lags, isDone: parked.isDone() }).toEqual({ lags: [], isDone: true });
  });

  test('that had to write is followed by another recheck', async () => {
    const due = expect.any(Number);
    expect(await recheck(false)).toEqual({ parked: [{ projectId: PROJECT, reason: 'repeat', due }], isDone: false });
  });

  test('that had to write is the last one when the window has long closed, however often Edge clients write the same', async () => {
    expect(await recheck(true)).toEqual({ parked: [], isDone: true });
  });

  test('that had to write is followed by another one after the window, too, if its event was applied after that', async () => {
    const minutesAgo = (minutes: number) => Date.now() - minutes * 60_000 + 0.5;
    const found = await Promise.all([1, 9, 11].map((ago) => recheck(true, { between }, 0, undefined, minutesAgo(ago))));
    expect(found.map(({ isDone }) => isDone)).toEqual([false, false, true]);
  });

  test('that had to write is followed by another recheck even if its retry finds nothing left to write', async () => {
    let document = DOCUMENT;
    let failures = 1;
    const edge = {
      identities: {
        get: async () => document,
        updateIfUnchanged: async (_: string, { set }: { set: Item }) => {
          document = { ...document, ...set };
          return 'written';
        },
      },
    };
    // Core cannot be asked whether it has changed meanwhile.
    const core = coreOf(async () => {
      if (document !== DOCUMENT && failures-- > 0) throw new CoreUnreachableError('gone');
      return { holder: environment.id, identity, size: 100 };
    });
    const failing = { ...between, edge, core } as unknown as Stores;
    expect(await recheck(false, { between: failing })).toMatchObject({ isDone: false });
    expect(await recheck(false, { between: failing })).toMatchObject({ isDone: true });
  });

  /** What becomes of a recheck that has written but cannot end. */
  async function interrupt(core: Stores['core'], others: Others = {}): Promise<readonly string[]> {
    const fields = derivedHeaders(undefined);
    markRecheck(fields);
    const looking = work(fields);
    const calls: string[] = [];
    Object.assign(looking.held, { doubt: () => void calls.push('doubt'), nak: () => void calls.push('nak') });
    const edge = { identities: { ...between.edge.identities, deleteIfUnchanged: async () => 'written' } };
    const stopped = { ...between, edge, core } as unknown as Stores;
    const { runner } = createParts(false, { recheckDelayMs: () => 10_000, between: stopped, ...others });
    await runner.apply(PROJECT, [looking]);
    return calls;
  }

  test('that has written and is stopped comes back in doubt: it would find nothing to write', async () => {
    const stopping = new AbortController();
    let reads = 0;
    const core = coreOf(async () => {
      if (reads++ > 0) {
        stopping.abort(new MigrationStoppedError('suspended'));
        throw new CoreUnreachableError('gone');
      }
      return { holder: environment.id, identity, size: 100 };
    });
    expect(await interrupt(core as Stores['core'], { stop: stopping.signal })).toEqual(['doubt', 'nak']);
  });

  test('that has written and cannot pass its event on comes back in doubt, too', async () => {
    const publish = async () => {
      throw new Error('the stream is full');
    };
    const core = coreOf(async () => ({ holder: 9, identity, size: 100 }));
    expect((await interrupt(core as Stores['core'], { publish }))[0]).toBe('doubt');
  });

  /** Edge has what Core has. */
  const equal = {
    ...between,
    core: found({ ...ADA, traits: [] }),
  } as unknown as Stores;

  test('is followed by another one if a region lacks the document or cannot be asked, but not if all regions agree', async () => {
    const due = expect.any(Number);
    const waiting = { parked: [{ projectId: PROJECT, reason: 'repeat', due, heldIn: 'home' }], isDone: false };
    expect(await recheck(false, { between: equal, elsewhere: 'differs' })).toEqual(waiting);
    expect(await recheck(false, { between: equal, elsewhere: 'unreachable' })).toEqual(waiting);
    expect(await recheck(false, { between: equal })).toEqual({ parked: [], isDone: true });
  });

  test('is repeated for a region that lacks the document or cannot be asked, even when the window has long closed', async () => {
    expect(await recheck(true, { between: equal, elsewhere: 'differs' })).toMatchObject({ isDone: false });
    expect(await recheck(true, { between: equal, elsewhere: 'unreachable' })).toMatchObject({ isDone: false });
  });

  test('does not count if another region becomes the written one meanwhile', async () => {
    const regions = ['us-east-2', 'eu-west-2'];
    const region = () => regions.shift() ?? 'eu-west-2';
    expect(await recheck(false, { between: equal, region })).toMatchObject({ isDone: false });
    expect(await recheck(false, { between: equal, region })).toMatchObject({ isDone: true });
  });

  test('is not the last one while a region other than the home region is written', async () => {
    expect(await recheck(true, { between, isAway: true })).toMatchObject({ isDone: false });
    expect(await recheck(true, { between: equal, elsewhere: 'differs', isAway: true })).toMatchObject({
      isDone: false,
    });
  });

  test('that waits for a silent region costs nothing if the written region was right', async () => {
    let reads = 0;
    const core = coreOf(async () => {
      reads += 1;
      return { holder: environment.id, identity: { ...ADA, traits: [] }, size: 100 };
    });
    const counting = { between: { ...between, core } as unknown as Stores, elsewhere: 'unreachable' } as const;
    const resting = { ...counting, isResting: true };
    expect(await recheck(false, resting, 0, 'home')).toMatchObject({ parked: [{ heldIn: 'home' }], isDone: false });
    expect(reads).toBe(0);
    // Another region was right then, or the silent one answers.
    expect(await recheck(false, resting, 0, 'away')).toMatchObject({ parked: [{ heldIn: 'home' }] });
    expect(reads).toBe(1);
    await recheck(false, counting, 0, 'home');
    expect(reads).toBe(2);
  });

  /** When a recheck is due while a region is silent, in seconds since the epoch, and in how many seconds that is. */
  async function dueOf(age: number): Promise<{ due: number; pause: number }> {
    const now = Date.now();
    const { parked } = await recheck(false, { between: equal, elsewhere: 'unreachable' }, now - age);
    const { due } = parked[0] as { due: number };
    return { due, pause: due - now / 1000 };
  }

  test('comes later the older the event is while a region is silent, after five minutes at most', async () => {
    for (const [age, pause] of [
      [0, 10],
      [400_000, 100],
      [86_400_000, 300],
    ] as const) {
      const found = (await dueOf(age)).pause;
      expect(found).toBeGreaterThanOrEqual(Math.max(10, 0.9 * pause - 2));
      expect(found).toBeLessThan(pause + 5);
    }
  });

  test('comes together with others that have waited for long: each time and minute is a place of its own', async () => {
    const ages = Array.from({ length: 200 }, (_, index) => 10_000_000 + index * 60_000);
    const dues = new Set((await Promise.all(ages.map(dueOf))).map(({ due }) => due));
    expect([...dues].map((due) => due % 15)).toEqual([...dues].map(() => 0));
  });
});
