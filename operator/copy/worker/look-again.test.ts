import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { describe, expect, test } from 'vitest';
import { type LookOptions, lookUntilItHolds } from './look-again.ts';
import type { HandledPage } from './page.ts';
import { identityMark } from './position.ts';
import { openProgress, type Progress } from './progress.ts';
import { createCopyRecord } from './testing/record.ts';

const { signal } = new AbortController();
const logger = createLogger('test', 'silent');
const environment = { id: 3, name: 'main', apiKey: 'key' } as CoreEnvironment;
const identity = { id: 4, identifier: 'ada' } as CoreIdentity;
const segment = { environmentId: 3, order: 'identifier' as const, after: null, until: null, identities: 1 };
const handled = (outcome: 'inserted' | 'unchanged'): HandledPage => ({ results: [{ outcome }], documentBytes: 100 });

describe('lookUntilItHolds', () => {
  function start(outcomes: ('inserted' | 'unchanged')[], settled: LookOptions['settled'] = async () => {}) {
    const clock = createFakeClock();
    const looks: boolean[] = [];
    let isOver = false;
    const looking = lookUntilItHolds(
      {
        rangeId: 0,
        segments: [{ ...segment, environment }],
        read: async () => ({
          ...{ environment, identities: [identity], isLast: true },
          ...{ deadline: { left: () => 1000 }, lost() {} },
        }),
        async write(_, isFirst) {
          looks.push(isFirst);
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
    return { clock, looks, looking, isOver: () => isOver };
  }

  test('checks again after each check that had to write, and marks the first one', async () => {
    const { clock, looks, looking } = start(['inserted', 'inserted']);
    for (let look = 0; look < 3; look++) await clock.advance(10_001);
    await looking;
    expect(looks).toEqual([true, false, false]);
  });

  test('does not end while an unanswered insert of its own may still take effect', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { clock, looks, looking, isOver } = start([], () => promise);
    await clock.advance(10_001);
    await clock.advance(10_001);
    expect(looks).toEqual([true]);
    expect(isOver()).toBe(false);
    resolve();
    await looking;
  });
});

const open = (saved = createCopyRecord(), found: CoreIdentity | undefined = identity) => {
  const clock = createFakeClock();
  const options = {
    ...{ range: { rangeId: 0, segments: [segment] }, record: saved, overridesTable: undefined },
    ...{ budget: createWriteBudget({ clock }), instance: 'pod', clock, logger },
    retrying: <T>(work: () => Promise<T>) => work(),
  };
  return openProgress(options, async () => found, signal);
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

  test.each<[string, (progress: Progress) => Promise<unknown>]>([
    ['a page is done', (progress) => progress.addPage(identityMark(identity), page, signal)],
    ['the range is done', (progress) => progress.finish(signal)],
  ])('is removed from the checkpoint once %s', async (_, goOn) => {
    const saved = await fail();
    await goOn(await open(saved));
    expect(saved.current()?.checkpoint).not.toHaveProperty('lastError');
  });
});
