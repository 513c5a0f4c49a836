import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { describe, expect, test } from 'vitest';
import type { HandledPage } from './page.ts';
import { identityMark } from './position.ts';
import { type CopyProgress, openCopyProgress } from './progress.ts';
import { type CopyRecheckOptions, recheckUntilStable } from './recheck.ts';
import { createCopyRecord } from './testing/record.ts';

const { signal } = new AbortController();
const logger = createLogger('test', 'silent');
const environment = { id: 3, name: 'main', apiKey: 'key' } as CoreEnvironment;
const identity = { id: 4, identifier: 'ada' } as CoreIdentity;
const segment = { environmentId: 3, order: 'identifier' as const, after: null, until: null, identities: 1 };
const handled = (outcome: 'inserted' | 'unchanged'): HandledPage => ({ results: [{ outcome }], documentBytes: 100 });

describe('recheckUntilStable', () => {
  function start(outcomes: ('inserted' | 'unchanged')[], settled: CopyRecheckOptions['settled'] = async () => {}) {
    const clock = createFakeClock();
    const checks: boolean[] = [];
    let isOver = false;
    const rechecking = recheckUntilStable(
      {
        rangeId: 0,
        segments: [{ ...segment, environment }],
        read: async () => ({
          ...{ environment, identities: [identity], isLast: true },
          ...{ deadline: { left: () => 1000 }, lost() {} },
        }),
        async write(_, isFirst) {
          checks.push(isFirst);
          return handled(outcomes.shift() ?? 'unchanged');
        },
        onHindrance() {},
        settled,
        ...{ afterMs: 10_000, clock, logger },
      },
      signal,
    ).then(() => {
      isOver = true;
    });
    return { clock, checks, rechecking, isOver: () => isOver };
  }

  test('checks again after each check that had to write, and marks the first one', async () => {
    const { clock, checks, rechecking } = start(['inserted', 'inserted']);
    for (let check = 0; check < 3; check++) await clock.advance(10_001);
    await rechecking;
    expect(checks).toEqual([true, false, false]);
  });

  test('does not end while an unanswered insert of its own may still take effect', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { clock, checks, rechecking, isOver } = start([], () => promise);
    await clock.advance(10_001);
    await clock.advance(10_001);
    expect(checks).toEqual([true]);
    expect(isOver()).toBe(false);
    resolve();
    await rechecking;
  });
});

const open = (saved = createCopyRecord(), found: CoreIdentity | undefined = identity) => {
  const clock = createFakeClock();
  const options = {
    ...{ range: { rangeId: 0, segments: [segment] }, record: saved, overridesTable: undefined },
    ...{ budget: createWriteBudget({ clock }), instance: 'pod', clock, logger },
    retrying: <T>(work: () => Promise<T>) => work(),
  };
  return openCopyProgress(options, async () => found, signal);
};
const page = { ...handled('inserted'), known: [1] };

describe('whether documents of a range may have been written', () => {
  test('is derived from its totals', async () => {
    const progress = await open();
    await progress.addPage(identityMark(identity), { ...page, ...handled('unchanged') }, signal);
    expect(progress.hasWritten).toBe(false);
    await progress.addPage(identityMark(identity), page, signal);
    expect(progress.hasWritten).toBe(true);
  });

  test('stays true when the range is read again from its beginning and finds all of them', async () => {
    const progress = await open();
    await progress.addPage(identityMark(identity), page, signal);
    await progress.restart(signal);
    expect(progress.hasWritten).toBe(true);
  });

  test('is assumed after a pod was killed before its checkpoint included the page', async () => {
    const saved = createCopyRecord();
    await open(saved);
    expect((await open(saved)).hasWritten).toBe(true);
  });

  test('is assumed if the range starts over because the identities of the checkpoint are gone', async () => {
    const saved = createCopyRecord();
    await (await open(saved)).addPage(identityMark(identity), page, signal);
    expect((await open(saved, { ...identity, identifier: 'renamed' })).hasWritten).toBe(true);
  });
});

describe('the failure of the previous pod', () => {
  /** The record that it leaves. */
  async function fail() {
    const saved = createCopyRecord();
    await (await open(saved)).addPage(identityMark(identity), page, signal);
    const { checkpoint, ...reports } = saved.current()!;
    return createCopyRecord({ ...reports, checkpoint: { ...checkpoint, lastError: 'no capacity' } });
  }

  test('stays in the checkpoint while its successor starts', async () => {
    const saved = await fail();
    await open(saved);
    await open(saved);
    expect(saved.current()?.checkpoint).toMatchObject({ instance: 'pod', lastError: 'no capacity' });
  });

  test.each<[string, (progress: CopyProgress) => Promise<unknown>]>([
    ['a page is done', (progress) => progress.addPage(identityMark(identity), page, signal)],
    ['the range is done', (progress) => progress.finish(signal)],
  ])('is removed from the checkpoint once %s', async (_, goOn) => {
    const saved = await fail();
    await goOn(await open(saved));
    expect(saved.current()?.checkpoint).not.toHaveProperty('lastError');
  });
});
