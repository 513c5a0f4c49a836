import { beforeEach, describe, expect, test } from 'vitest';
import { DAY_MS } from './days.ts';
import { createFleet, type TestFleet } from './testing.ts';
import type { UsageCounts } from './usage-counts.ts';

const NOON = Date.parse('2026-11-29T12:00:00Z');
const PYTHON = 'flagsmith-python-sdk/3.9.2';
const HOUR = 60 * 60 * 1000;

let fleet: TestFleet;
let operator: UsageCounts;

beforeEach(() => {
  fleet = createFleet(NOON);
  operator = fleet.operator();
});

/** `date writes/reads` of each day, as this process of the operator knows them. */
async function days(counts = operator): Promise<string[]> {
  await fleet.follow(counts);
  fleet.now += 30_000;
  return counts.project(42).days.map(({ date, writes, reads }) => `${date} ${writes}/${reads}`);
}

describe('the written identities', () => {
  const people = (from: number, until: number) =>
    Array.from({ length: until - from }, (_, index) => `p${from + index}`);
  const identities = async () => {
    await days();
    return operator.project(42).identities?.count;
  };
  /** As known to an operator that has just started. */
  const restarted = async () => {
    operator = fleet.operator();
    return identities();
  };

  test('count once per environment, through however many pods and on however many days they are written', async () => {
    const [one, two] = [fleet.sidecar('api-1'), fleet.sidecar('api-2')];
    one.write('production', PYTHON, people(0, 60));
    two.write('production', PYTHON, people(40, 100));
    fleet.now += DAY_MS;
    one.write('production', PYTHON, people(0, 100));
    two.write('staging', PYTHON, people(0, 20));
    two.end();
    expect(Math.abs((await identities())! - 120)).toBeLessThan(12);
  });

  test('are unknown if nothing was written, or if a sidecar of an earlier release counted only requests', async () => {
    const sidecar = fleet.sidecar('api-1');
    sidecar.serve('production', PYTHON, 'read');
    expect(await identities()).toBeUndefined();
    sidecar.write('production', PYTHON, people(0, 3));
    expect(await identities()).toBe(3);
    const [stored] = fleet.reports();
    const usage = structuredClone(stored!.report.usage!);
    delete usage.days[0]!.environments[0]!.identities;
    fleet.store({ ...stored!, sequence: 99, report: { ...stored!.report, podUid: 'old', usage } });
    expect(await identities()).toBeUndefined();
  });

  test('are counted for requests that write many', async () => {
    const sidecar = fleet.sidecar('api-1');
    for (let from = 0; from < 600; from += 200) sidecar.writeBulk('production', PYTHON, people(from, from + 200));
    expect(Math.abs((await identities())! - 600)).toBeLessThan(120);
  });

  test('are counted for a request whose names arrived after its first report', async () => {
    const sidecar = fleet.sidecar('api-1');
    sidecar.write('production', PYTHON, people(0, 1));
    expect(await identities()).toBe(1);
    sidecar.name('production', people(1, 20));
    expect(Math.abs((await identities())! - 20)).toBeLessThan(6);
  });

  test('are never more than names, whatever sketch a report has; nor than requests where it counts no names', async () => {
    fleet.sidecar('api-1').writeBulk('production', PYTHON, people(0, 3));
    const [stored] = fleet.reports();
    const usage = structuredClone(stored!.report.usage!);
    usage.days[0]!.environments[0]!.identities = '_'.repeat(256);
    fleet.store({ ...stored!, sequence: 99, report: { ...stored!.report, podUid: 'other', usage } });
    expect(await identities()).toBe(6);
    delete usage.days[0]!.environments[0]!.named;
    expect(await restarted()).toBe(4);
  });

  test('are those of the last seven dates, with the first known one', async () => {
    const sidecar = fleet.sidecar('api-1');
    for (let day = 0; day < 9; day += 1) {
      if (day > 0) fleet.now += DAY_MS;
      sidecar.write('production', PYTHON, [`p${day}`]);
      await fleet.follow(operator);
    }
    expect(operator.project(42).identities).toEqual({ count: 7, since: '2026-12-01' });
    operator = fleet.operator();
    await fleet.follow(operator);
    expect(operator.project(42).identities).toEqual({ count: 3, since: '2026-12-05' });
  });

  test('are known a week after the last write that a sidecar of an earlier release has counted', async () => {
    const sidecar = fleet.sidecar('api-1');
    sidecar.write('production', PYTHON, people(0, 1));
    const [stored] = fleet.reports();
    const usage = structuredClone(stored!.report.usage!);
    delete usage.days[0]!.environments[0]!.identities;
    fleet.store({ ...stored!, sequence: 99, report: { ...stored!.report, podUid: 'old', usage } });
    for (let day = 1; day < 7; day += 1) {
      expect(await identities()).toBeUndefined();
      fleet.now = NOON + day * DAY_MS;
      sidecar.write('production', PYTHON, people(0, 1));
    }
    fleet.now = NOON + 7 * DAY_MS;
    expect(await identities()).toBe(1);
  });
});

describe('the count of a day', () => {
  test('is the sum over all sidecars, including those of deleted pods', async () => {
    const [one, two] = [fleet.sidecar('api-1'), fleet.sidecar('api-2')];
    one.serve('production', PYTHON, 'write', 3);
    two.serve('production', PYTHON, 'write', 4);
    two.serve('staging', 'curl/8', 'read');
    one.end();
    expect(await days()).toEqual(['2026-11-29 7/1']);
    expect(operator.project(42).days[0]?.rows).toEqual([
      { environment: 1, client: PYTHON, writes: 7, reads: 0 },
      { environment: 2, client: 'curl', writes: 0, reads: 1 },
    ]);
    expect(operator.project(43).days).toEqual([]);
  });

  test('includes each request once, however often and by whichever replica a report is read', async () => {
    fleet.sidecar('api-1').serve('production', PYTHON, 'write', 3);
    for (let round = 0; round < 5; round += 1) expect(await days()).toEqual(['2026-11-29 3/0']);
    expect(await days(fleet.operator())).toEqual(['2026-11-29 3/0']);
  });

  test('goes on when the counters of a sidecar restart', async () => {
    const sidecar = fleet.sidecar('api-1');
    sidecar.serve('production', PYTHON, 'write', 30);
    await days();
    sidecar.restart();
    sidecar.serve('production', PYTHON, 'write', 5);
    expect(await days()).toEqual(['2026-11-29 35/0']);
  });

  test('is known afterwards to an operator that was away until the day after the next', async () => {
    const sidecar = fleet.sidecar('api-1');
    for (let day = 0; day < 3; day += 1) {
      sidecar.serve('production', PYTHON, 'write', day + 1);
      fleet.now += DAY_MS;
    }
    fleet.now -= DAY_MS;
    expect(await days()).toEqual(['2026-11-29 1/0', '2026-11-30 2/0', '2026-12-01 3/0']);
  });

  test("begins at midnight (UTC), and by the stream's clock even for a sidecar whose own is a day wrong", async () => {
    const [right, wrong] = [fleet.sidecar('api-1'), fleet.sidecar('api-2', { ahead: 24 * HOUR })];
    fleet.now = Date.parse('2026-11-29T23:59:59Z');
    right.serve('production', PYTHON, 'write');
    wrong.serve('production', PYTHON, 'write', 10);
    fleet.now += 2000;
    right.serve('production', PYTHON, 'write');
    wrong.serve('production', PYTHON, 'write', 20);
    expect(await days()).toEqual(['2026-11-29 11/0', '2026-11-30 21/0']);
  });
});

describe('the start of counting', () => {
  const iso = (time: number | undefined) => time && new Date(time).toISOString();

  test('is not set by a sidecar of an older release, which does not count as one without requests', async () => {
    fleet.sidecar('api-1').serve('production', PYTHON, 'write');
    const older = fleet.sidecar('api-2', { counts: false });
    fleet.now += HOUR;
    await fleet.follow(operator);
    expect(iso(operator.project(42).uncountedUntil)).toBe('2026-11-29T13:00:00.000Z');
    older.end();
    fleet.now += HOUR;
    await fleet.follow(operator);
    expect(operator.project(42)).toMatchObject({ countingSince: NOON, uncountedUntil: NOON + HOUR });
  });

  test('is unknown if no sidecar counts', async () => {
    fleet.sidecar('api-1', { counts: false });
    await fleet.follow(operator);
    expect(operator.project(42)).toMatchObject({ countingSince: undefined, days: [] });
  });

  test('is no earlier than the retention of reports, even if a report claims a start years ago', async () => {
    fleet.sidecar('api-1', {});
    const [stored] = fleet.reports();
    fleet.store({ ...stored!, report: { ...stored!.report, startedTime: '1970-01-01T00:00:00Z' } });
    await fleet.follow(operator);
    expect(operator.project(42).countingSince).toBe(NOON - 8 * DAY_MS);
  });
});

describe('a hostile report', () => {
  test('with keys unknown to Core, projects that are not migrated, or other centuries is not kept', async () => {
    const sidecar = fleet.sidecar('api-1');
    for (let key = 0; key < 5000; key += 1) sidecar.serve(`invented-${key}`, PYTHON, 'write');
    sidecar.serve('production', PYTHON, 'write');
    const [stored] = fleet.reports();
    const usage = { ...stored!.report.usage!, since: '2026-11-29T11:00:00Z' };
    const environments = usage.days[0]!.environments.map((one) => ({
      ...one,
      environment: { clientKey: 'production' },
    }));
    const days_ = ['1970-01-01', '2026-11-29', '9999-12-31'].map((date) => ({ date, environments }));
    fleet.store({ ...stored!, sequence: 99, report: { ...stored!.report, usage: { ...usage, days: days_ } } });
    const known = await days();
    expect(known).toHaveLength(1);
    expect(known[0]).toMatch(/^2026-11-29 /);
    expect(operator.project(0).days).toEqual([]);
  });
});
