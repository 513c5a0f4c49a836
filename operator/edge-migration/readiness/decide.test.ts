import { describe, expect, test } from 'vitest';
import { decide } from '../decide.ts';
import type { Facts } from '../facts.ts';
import {
  condition,
  copiedWork,
  edgeReady,
  facts,
  job,
  migration,
  NOON,
  next,
  twoRanges,
  visitedFacts,
  work,
} from '../testing/facts.ts';
import type { ObservedReadiness, ReadinessFact } from './facts.ts';

const production = { id: 7, name: 'Production' };
const nothing = { documents: [], serverKeys: [], metaRows: [] };
const without = (missing: Partial<ObservedReadiness['missing']>) => edgeReady({ missing: { ...nothing, ...missing } });

const say = (readiness: ReadinessFact, changes: Partial<Facts> = {}) => {
  const { status } = decide(facts({ readiness, ...changes }));
  const { message = '' } = status.conditions?.find(({ type }) => type === 'EdgeReady') ?? {};
  return { condition: condition(status, 'EdgeReady'), message };
};

describe('EdgeReady', () => {
  test('is not stated if no table is configured that shows it', () => {
    const { status } = decide(facts());
    expect(condition(status, 'EdgeReady')).toBe('absent');
  });

  test('does not outlive its configuration', () => {
    const { status } = decide(next(facts({ readiness: edgeReady() }), 0, { readiness: undefined }));
    expect(condition(status, 'EdgeReady')).toBe('absent');
  });

  test('is true when everything was found, and lists it', () => {
    expect(say(edgeReady())).toEqual({
      condition: 'True/Complete',
      message:
        'Edge has the documents of 2 environments, 1 server keys, their _META rows, and enable_dynamo_db is set in Core',
    });
  });

  test.for<[string, ReadinessFact, string, RegExp]>([
    ['the switch', edgeReady({ enabled: false }), 'DynamoDBNotEnabled', /enable_dynamo_db of project 42 is not set/],
    [
      'an environment',
      without({ documents: [production] }),
      'EnvironmentsMissing',
      /table environments has no document of environment Production \(id 7\)/,
    ],
    [
      'a server key',
      without({ serverKeys: [{ ...production, keyId: 3 }] }),
      'ServerKeysMissing',
      /table server-keys lacks 1 server keys of environment Production \(id 7\)/,
    ],
    [
      'a _META row',
      without({ metaRows: [production] }),
      'MetaRowsMissing',
      /table environments-v2 has no _META row of environment Production \(id 7\)/,
    ],
    [
      'upkeep of the _META rows',
      edgeReady({ keepsMeta: false }),
      'MetaRowsNotKept',
      /does not keep the _META rows up to date/,
    ],
  ])('is false for %s that is missing, and names who writes it', ([, readiness, reason, message]) => {
    const said = say(readiness);
    expect(said.condition).toBe(`False/${reason}`);
    expect(said.message).toMatch(message);
    expect(said.message).toMatch(/Flagsmith's own code writes these/);
  });

  test('names a few of many environments, each once, and counts the others', () => {
    const documents = [1, 1, 2, 3, 4, 5].map((id) => ({ id, name: `env-${id}` }));
    const { message } = say(without({ documents }));
    expect(message).toContain('environments env-1 (id 1), env-2 (id 2), env-3 (id 3) and 2 more');
  });

  test('is unknown while a store does not answer, and names it', () => {
    const problem = { kind: 'problem', reason: 'EdgeRefused', message: 'no right to read', nextTime: NOON } as const;
    expect(say(problem)).toEqual({ condition: 'Unknown/EdgeRefused', message: 'no right to read' });
  });

  test('stays unchanged while nothing is checked, and is unknown before the first check', () => {
    expect(say({ kind: 'unread' }).condition).toBe('Unknown/NotChecked');
    const { status } = decide(next(facts({ readiness: edgeReady() }), 0, { readiness: { kind: 'unread' } }));
    expect(condition(status, 'EdgeReady')).toBe('True/Complete');
  });

  test('is stated in mode Plan before anything is copied', () => {
    const plan = { migration: migration({}, { mode: 'Plan' }) };
    expect(say(edgeReady({ enabled: false }), plan).condition).toBe('False/DynamoDBNotEnabled');
  });

  test('is checked again when the last check is old', () => {
    const readiness = edgeReady({ nextTime: NOON + 500 });
    expect(decide(visitedFacts({ readiness, work: copying() })).nextTime).toBe(NOON + 500);
  });
});

/** Two ranges that a Job works on. */
const copying = () => work({ ranges: twoRanges, jobs: [job()] });
const missing = without({ documents: [production] });
const marks = (decided: ReturnType<typeof decide>) =>
  decided.actions.map(({ kind }) => kind).filter((kind) => kind.startsWith('mark'));

describe("the marks that Flagsmith's dashboard follows", () => {
  const starting = (readiness?: ReadinessFact) => visitedFacts({ readiness, work: work({ ranges: twoRanges }) });
  const ended = (readiness?: ReadinessFact) => ({
    ...visitedFacts({ readiness, work: copying() }),
    now: NOON + 60_000,
    work: copiedWork(),
  });

  test('are written with the copy if readiness is switched off', () => {
    expect(marks(decide(starting()))).toEqual(['markStarted']);
    expect(marks(decide(ended()))).toEqual(['markCompleted']);
  });

  test('are written with the copy if Edge is ready before it', () => {
    expect(marks(decide(starting(edgeReady())))).toEqual(['markStarted']);
    expect(marks(decide(ended(edgeReady())))).toEqual(['markCompleted']);
  });

  test('are not written while Edge is not ready, nor while that is unknown', () => {
    const unknown = { kind: 'problem', reason: 'EdgeUnreachable', message: 'no answer', nextTime: NOON } as const;
    for (const readiness of [missing, unknown, { kind: 'unread' } as const]) {
      expect(marks(decide(starting(readiness)))).toEqual([]);
      expect(marks(decide(ended(readiness)))).toEqual([]);
    }
  });

  test('are written once, as soon as Edge is ready, during the copy and after it', () => {
    const running = next(visitedFacts({ readiness: missing, work: copying() }), 1_000);
    const ready = next(running, 1_000, { readiness: edgeReady() });
    expect(marks(decide(running))).toEqual([]);
    expect(marks(decide(ready))).toEqual(['markStarted']);
    expect(marks(decide(next(ready, 1_000)))).toEqual([]);
    const copied = next(ended(missing), 1_000);
    const late = next(copied, 1_000, { readiness: edgeReady() });
    expect(condition(copied.migration.status, 'Copied')).toBe('True/Complete');
    expect(marks(decide(late))).toEqual(['markCompleted']);
    expect(marks(decide(next(late, 1_000)))).toEqual([]);
  });

  test('are written for a migration copied by an older release when its status is first seen', () => {
    const copied = next(ended(), 1_000);
    expect(marks(decide({ ...copied, readiness: edgeReady() }))).toEqual(['markCompleted']);
  });

  test('are never written by a plan', () => {
    const plan = { migration: migration({}, { mode: 'Plan' }) };
    const planned = { ...visitedFacts({ ...plan, readiness: missing, work: copying() }), work: copiedWork() };
    const seen = next(planned, 1_000, { readiness: edgeReady() });
    expect([...marks(decide(planned)), ...marks(decide(seen))]).toEqual([]);
  });
});

test('the message of a completely copied migration names what Edge lacks', () => {
  const copied = next(
    { ...visitedFacts({ readiness: missing, work: copying() }), now: NOON + 60_000, work: copiedWork() },
    0,
  );
  expect(copied.migration.status.message).toMatch(/^Edge cannot serve the project yet/);
});
