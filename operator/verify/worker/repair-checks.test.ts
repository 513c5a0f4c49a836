import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import type { Finding } from '@edge-migration/identity/edge/verdict.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { NOTHING_VERIFIED } from '../totals.ts';
import { type Candidate, candidateSchema, toCandidate, toPlace, toRepaired } from './candidate.ts';
import { repairInterrupted, type SettleContext, settleCandidates } from './candidates.ts';
import type { Comparer } from './comparer.ts';
import type { Comparison } from './comparison.ts';
import { MOST_RECORD_BYTES } from './progress.ts';
import { createTally } from './tally.ts';
import { VERIFY_SETTINGS } from './testing/verification.ts';

const { signal } = new AbortController();
const DELAY_MS = 10_000;
const environment = { id: 3, name: 'main', apiKey: 'key' } as CoreEnvironment;

const FINDING: Finding = { kinds: ['missing'] };

/** An identity of Core, which Edge lacks or has. */
function compare(identifier: string, isMissing: boolean, finding = FINDING): Comparison {
  const pair = { environmentId: 3, core: undefined, edge: undefined, rows: undefined, onConflict: 'KeepEdge' as const };
  const verdict = isMissing
    ? ({ identity: 'missing', document: undefined, finding } as const)
    : ({ identity: 'equal', document: 'matched', finding: undefined } as const);
  const edge = isMissing ? undefined : { composite_key: { S: `key_${identifier}` } };
  return { kind: 'identity', environment, identifier, key: `key_${identifier}`, verdict, pair: { ...pair, edge } };
}

interface Script {
  /** Called before each comparison; whether Edge lacks the identity at that time. */
  readonly isMissing: (identifier: string) => boolean;
  readonly areRepeated?: boolean;
}

/** A comparison of stores in which each repair succeeds for now. */
function start({ isMissing, areRepeated = true }: Script) {
  const clock = createFakeClock();
  const repairs: { repaired: number; at: number }[] = [];
  const watched: number[] = [];
  const tally = createTally({
    ...{ totals: NOTHING_VERIFIED, samples: '', sampleLines: 0, skipped: '', skippedLines: 0 },
    clearIdentifiers: true,
  });
  const recheck: Comparer['recheck'] = async (_kind, _environment, places) =>
    places.map(({ identifier }) => compare(identifier, isMissing(identifier)));
  const context: SettleContext = {
    comparer: { recheck } as Comparer,
    tally,
    repair: async (found) => {
      if (found.length > 0) repairs.push({ repaired: found.length, at: clock.monotonic() });
      return found.map(() => true);
    },
    rechecks: {
      afterMs: DELAY_MS,
      areRepeated: () => areRepeated,
      watch: (repaired) => void watched.push(repaired.length),
    },
    environments: new Map([[3, environment]]),
    settings: () => ({ ...VERIFY_SETTINGS, appliedUntil: Number.MAX_SAFE_INTEGER }),
    coreTime: async () => clock.now(),
    ...{ clock, logger: createLogger('test', 'silent'), settleMs: 0, lagMs: 0, replayWaitMs: 60_000 },
  };
  return { clock, context, repairs, watched, tally };
}

/** Settles candidates, and reports what is saved. */
function settle({ context }: ReturnType<typeof start>, candidates: readonly Candidate[]) {
  const saved: Candidate[][] = [];
  let isOver = false;
  const save = async (left: readonly Candidate[]) => void saved.push([...left]);
  const settling = settleCandidates(context, candidates, 0, save, signal).then(() => {
    isOver = true;
  });
  return { saved, settling, isOver: () => isOver };
}

const ada = toCandidate(compare('ada', true));

/** Edge lacks the identity at its first comparisons, this many. */
function lacksAt(first: number): Script['isMissing'] {
  let comparisons = 0;
  return () => comparisons++ < first;
}

test('a repair is counted once a comparison after the delay has found it, and is repeated until then', async () => {
  const run = start({ isMissing: lacksAt(3) });
  const { saved, settling } = settle(run, [ada]);
  for (let check = 1; check <= 3; check++) {
    await run.clock.sleepers(1);
    expect(run.tally.totals()).toMatchObject({ missing: 0, repairs: 0 });
    expect(saved.at(-1)).toMatchObject([{ identifier: 'ada', repaired: { identity: 'missing', finding: FINDING } }]);
    await run.clock.advance(DELAY_MS);
  }
  await settling;
  expect(run.repairs.map(({ at }) => at)).toEqual([0, DELAY_MS, 2 * DELAY_MS]);
  expect(run.tally.totals()).toMatchObject({ missing: 1, equal: 0, found: { missing: 1 }, repaired: { missing: 1 } });
  expect(run.tally.totals().repairs).toBe(1);
  expect(saved.at(-1)).toEqual([]);
  expect(run.watched.at(-1)).toBe(0);
});

test('a wall clock that is set forward does not shorten the wait for replication', async () => {
  const run = start({ isMissing: lacksAt(1) });
  const { settling, isOver } = settle(run, [ada]);
  await run.clock.sleepers(1);
  run.clock.skew(10 * DELAY_MS);
  await run.clock.advance(DELAY_MS - 1);
  expect(isOver()).toBe(false);
  await run.clock.advance(1);
  await settling;
});

test('what is never found to have been repaired is a finding, after eight comparisons', async () => {
  const run = start({ isMissing: () => true });
  const { settling } = settle(run, [ada]);
  for (let check = 1; check <= 8; check++) {
    await run.clock.sleepers(1);
    await run.clock.advance(DELAY_MS);
  }
  await settling;
  expect(run.repairs).toHaveLength(8);
  expect(run.tally.totals()).toMatchObject({ missing: 1, found: { missing: 1 }, repaired: { missing: 0 }, repairs: 0 });
  expect(run.tally.samples.text()).toContain('"repaired":false');
});

test('once Edge is the authority, what is missing again may have been deleted there: it is a finding', async () => {
  const run = start({ isMissing: () => true, areRepeated: false });
  const { settling } = settle(run, [ada]);
  await run.clock.sleepers(1);
  await run.clock.advance(DELAY_MS);
  await settling;
  expect(run.repairs).toHaveLength(1);
  expect(run.tally.totals()).toMatchObject({ found: { missing: 1 }, repaired: { missing: 0 } });
});

test('no more repairs wait for their comparison than the record can hold', async () => {
  const repaired = new Set<string>();
  const isMissing = (identifier: string) => !repaired.has(identifier) && repaired.add(identifier).has(identifier);
  const run = start({ isMissing });
  const candidates = Array.from({ length: 450 }, (_, index) => toCandidate(compare(`identity-${index}`, true)));
  const { settling } = settle(run, candidates);
  for (let check = 1; check <= 3; check++) {
    await run.clock.sleepers(1);
    await run.clock.advance(DELAY_MS);
  }
  await settling;
  expect(Math.max(...run.watched)).toBe(200);
  expect(run.tally.totals()).toMatchObject({ missing: 450, repairs: 450 });
});

test('whatever characters identifiers have, repairs that wait fit next to a full record in a ConfigMap', async () => {
  const repaired = new Set<string>();
  const isMissing = (identifier: string) => !repaired.has(identifier) && repaired.add(identifier).has(identifier);
  const run = start({ isMissing });
  const sizes: number[] = [];
  const { rechecks } = run.context;
  const cipher = createCheckpointCipher(createCipherKey());
  const watch = (waiting: readonly Candidate[]) => void sizes.push(cipher.encrypt(waiting.map(toPlace)).length);
  // Six bytes each in JSON.
  const candidates = Array.from({ length: 400 }, (_, index) => toCandidate(compare('\u0001'.repeat(42) + index, true)));
  const { settling, isOver } = settle(
    { ...run, context: { ...run.context, rechecks: { ...rechecks!, watch } } },
    candidates,
  );
  while (!isOver()) {
    await run.clock.sleepers(1);
    await run.clock.advance(DELAY_MS);
  }
  await settling;
  expect(run.tally.totals().repairs).toBe(400);
  expect(Math.max(...sizes)).toBeLessThan(1024 ** 2 - MOST_RECORD_BYTES - 1000);
});

test('repairs that a previous pod had saved are compared first after the delay, and are counted as they were found', async () => {
  const run = start({ isMissing: () => false });
  const { settling } = settle(run, [toRepaired(compare('ada', true))]);
  await run.clock.sleepers(1);
  expect(run.watched).toEqual([1]);
  await run.clock.advance(DELAY_MS);
  await settling;
  expect(run.repairs).toEqual([]);
  expect(run.tally.totals()).toMatchObject({ missing: 1, equal: 0, repairs: 1, repaired: { missing: 1 } });
});

test('repairs of a killed pod that it had not saved are made again until they have held for the delay', async () => {
  const run = start({ isMissing: lacksAt(2) });
  let isOver = false;
  const seeing = repairInterrupted(run.context, run.context.repair!, [ada], signal).then(() => {
    isOver = true;
  });
  await run.clock.sleepers(1);
  await run.clock.advance(DELAY_MS);
  await run.clock.sleepers(1);
  expect(isOver).toBe(false);
  await run.clock.advance(DELAY_MS);
  await seeing;
  expect(run.repairs.map(({ at }) => at)).toEqual([0, DELAY_MS]);
  expect(run.tally.totals()).toEqual(NOTHING_VERIFIED);
});

test('the previous release takes a repaired candidate for one that it has not repaired, and vice versa', () => {
  const repaired = toRepaired(compare('ada', true));
  // As in releases before it had this field.
  const former = z.object({ ...candidateSchema.shape, repaired: z.undefined().optional() }).omit({ repaired: true });
  expect(former.parse(JSON.parse(JSON.stringify(repaired)))).toEqual(ada);
  expect(candidateSchema.parse(JSON.parse(JSON.stringify(ada)))).toEqual(ada);
  expect(candidateSchema.parse(JSON.parse(JSON.stringify(repaired)))).toEqual(repaired);
});

test('the details of a finding are saved while it waits, unless they are long', () => {
  const differing = (keys: number): Finding => ({
    kinds: ['differing'],
    problems: Array.from({ length: keys }, (_, index) => `problem ${index}`),
  });
  expect(toRepaired(compare('ada', true, differing(3))).repaired.finding).toEqual(differing(3));
  expect(toRepaired(compare('ada', true, differing(300))).repaired.finding).toEqual({ kinds: ['differing'] });
});
