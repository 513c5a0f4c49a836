import type { StillOnCore } from '@edge-migration/contract/edge-migration/api.ts';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Decision, decide } from '../decide.ts';
import type { Facts } from '../facts.ts';
import { covered, following, migration, next, visitedFacts } from '../testing/facts.ts';
import { DAY_MS } from './days.ts';
import { extendSeries, type UsageSeries } from './series.ts';
import { createFleet, type TestFleet, type TestSidecar } from './testing.ts';
import type { UsageCounts } from './usage-counts.ts';

const NOON = Date.parse('2026-11-01T12:00:00Z');
const HOUR = 60 * 60 * 1000;
const WEEKS = 28;

let fleet: TestFleet;
let sidecars: TestSidecar[];
let operator: UsageCounts;
let facts: Facts;
let series: UsageSeries | undefined;
let written: number;

beforeEach(() => {
  fleet = createFleet(NOON);
  sidecars = [];
  operator = fleet.operator();
  series = undefined;
  written = 0;
  const status = {
    conditions: [
      { type: 'Accepted', status: 'True' as const, reason: 'Accepted', message: '', lastTransitionTime: '' },
      { type: 'Copied', status: 'True' as const, reason: 'Complete', message: '', lastTransitionTime: '' },
    ],
    copy: { startTime: '2026-11-01T11:00:00Z', completionTime: '2026-11-01T12:00:00Z', attempt: 1 },
  };
  facts = visitedFacts({
    now: NOON,
    migration: migration({ status }),
    capture: covered(),
    replay: following(),
  });
});

/** The operator reads the reports, writes its series, and updates the status. */
async function summarize(changes: Partial<Facts> = {}): Promise<StillOnCore | undefined> {
  await fleet.follow(operator);
  const current = {
    ...facts,
    capture: covered({ allSentUntil: fleet.now }),
    replay: following({ takenUntil: fleet.now }),
    ...changes,
    now: fleet.now,
    usage: operator.project(42),
  };
  const decision: Decision = decide(current);
  for (const action of decision.actions) {
    if (action.kind !== 'writeUsageSeries') continue;
    series = extendSeries(series, action.days, action.most);
    written += 1;
  }
  facts = next(current, 0);
  return decision.status.replay?.stillOnCore;
}

const pass = (milliseconds: number) => {
  fleet.now += milliseconds;
};

const names = (status: StillOnCore | undefined) => status?.clients?.map(({ name }) => name);

describe('three SDKs that leave Core one after the other', () => {
  const CLIENTS = [
    { agent: 'flagsmith-python-sdk/3.9.2', key: 'production', daily: 300, leaves: 3 },
    { agent: 'flagsmith-js-sdk/9.3.1', key: 'production', daily: 200, leaves: 7 },
    { agent: 'flagsmith-java-sdk/8.1.1', key: 'staging', daily: 100, leaves: 12 },
  ];

  async function live(day: number): Promise<StillOnCore | undefined> {
    for (const { agent, key, daily, leaves } of CLIENTS) {
      if (day >= leaves) continue;
      sidecars[0]?.serve(key, agent, 'write', daily * 0.6);
      sidecars[1]?.serve(key, agent, 'write', daily * 0.4);
      sidecars[1]?.serve(key, agent, 'read', 2 * daily);
    }
    // A pod is replaced, a process restarts, and so does the operator.
    sidecars[0]?.end();
    sidecars[0] = fleet.sidecar(`api-${day}`);
    await fleet.follow(operator);
    if (day % 2 === 0) sidecars[1]?.restart();
    else operator = fleet.operator();
    return summarize();
  }

  test('are listed with their series while they call, until Core can be switched off', async () => {
    fleet.now = Date.parse('2026-11-01T00:00:00Z');
    sidecars = [fleet.sidecar('api-a'), fleet.sidecar('api-b')];
    fleet.now = NOON;
    const said = new Map<number, StillOnCore | undefined>();
    for (let day = 0; day < 40; day += 1) {
      said.set(day, await live(day));
      pass(DAY_MS);
    }
    const [python, js, java] = CLIENTS.map(({ agent }) => agent);
    expect(said.get(1)).toMatchObject({
      state: 'Writing',
      writesPerDay: 600,
      readsPerDay: 1200,
      environments: [
        { id: 1, writesPerDay: 500, readsPerDay: 1000 },
        { id: 2, writesPerDay: 100, readsPerDay: 200 },
      ],
      clients: [
        { name: python, writesPerDay: 300, readsPerDay: 600 },
        { name: js, writesPerDay: 200, readsPerDay: 400 },
        { name: java, writesPerDay: 100, readsPerDay: 200 },
      ],
    });
    expect(said.get(1)?.message).toMatch(
      /^3 clients in 2 environments still write identities through Core, about 600 requests a day, flagsmith-python-sdk\/3\.9\.2 most: what they write after 2026-11-29T12:00:00Z does not reach Edge/,
    );
    expect(names(said.get(5))).toEqual([js, java]);
    expect(names(said.get(9))).toEqual([java]);
    expect(said.get(9)).toMatchObject({ state: 'Writing', writesPerDay: 100, lastWrite: '2026-11-10T12:00:00Z' });
    expect(said.get(14)).toMatchObject({ state: 'Quiet', writesPerDay: 0, readsPerDay: 0 });
    expect(names(said.get(14))).toBeUndefined();
    expect(said.get(27)?.state).toBe('Quiet');
    expect(said.get(WEEKS + 1)).toMatchObject({
      state: 'Gone',
      message: 'no client has called Core for this project for a week: Core can be switched off for it',
      lastWrite: '2026-11-12T12:00:00Z',
    });
    const expected = (day: number) =>
      CLIENTS.filter(({ leaves }) => day < leaves).map(({ agent, key, daily }) => ({
        environment: key === 'production' ? 1 : 2,
        client: agent,
        writes: daily,
        reads: 2 * daily,
      }));
    expect(series?.days).toHaveLength(40);
    for (const [day, { date, known, rows }] of series!.days.entries()) {
      expect(date).toBe(new Date(NOON + day * DAY_MS).toISOString().slice(0, 10));
      expect(rows, date).toEqual(expected(day));
      expect(known, date).toBe('all');
    }
  });
});

describe('unknown numbers of requests are not reported as zero', () => {
  test('while a sidecar of an older release serves', async () => {
    fleet.sidecar('api-1');
    const older = fleet.sidecar('api-2', { counts: false });
    pass(3 * DAY_MS);
    const status = await summarize();
    expect(status?.state).toBe('Unknown');
    expect(status).not.toHaveProperty('writesPerDay');
    expect(status?.message).toMatch(/^not known: .*older release/);
    expect(series).toBeUndefined();
    older.end();
    pass(25 * HOUR);
    expect(await summarize()).toMatchObject({ state: 'Quiet', writesPerDay: 0, countedSince: '2026-11-04T12:00:00Z' });
    expect(series?.days.map(({ date }) => date)).toEqual(['2026-11-05']);
  });

  test('after a time in which requests bypassed the sidecars', async () => {
    fleet.sidecar('api-1');
    pass(3 * DAY_MS);
    const gap = { from: fleet.now - 5 * HOUR, until: fleet.now - 4 * HOUR, reason: 'noSidecar', podName: 'api-9' };
    expect((await summarize({ capture: covered({ gaps: [gap] }) }))?.state).toBe('Unknown');
    const short = { ...gap, until: gap.from + 60_000, reason: 'sidecarVanished' };
    facts = { ...facts, migration: { ...facts.migration, status: { ...facts.migration.status, replay: {} } } };
    expect((await summarize({ capture: covered({ gaps: [short] }) }))?.state).toBe('Quiet');
  });

  test('while the reports cannot be read: the last known numbers stay, with their time', async () => {
    fleet.sidecar('api-1').serve('production', 'curl/8', 'write');
    const before = await summarize();
    pass(DAY_MS);
    const { status } = decide({ ...facts, now: fleet.now, usage: undefined });
    expect(status.replay?.stillOnCore).toEqual(before);
  });
});

describe('a changed deadline is in the message', () => {
  const FIRST = '2026-11-29T12:00:00Z';
  const CHANGED = '2026-11-05T12:30:00Z';
  const changeWindow = () => {
    const { migration: before } = facts;
    const windowSeconds = (4 * DAY_MS + HOUR / 2) / 1000;
    const spec = { ...before.spec!, replay: { ...before.spec!.replay, windowSeconds } };
    facts = { ...facts, migration: { ...before, spec } };
  };

  test('at once, and once only', async () => {
    fleet.sidecar('api-1').serve('production', 'curl/8', 'write');
    expect((await summarize())?.message).toContain(FIRST);
    pass(1000);
    changeWindow();
    const changed = await summarize();
    expect(changed?.message).toContain(CHANGED);
    pass(1000);
    expect(await summarize()).toEqual(changed);
  });

  test('as soon as the reports can be read again', async () => {
    fleet.sidecar('api-1').serve('production', 'curl/8', 'write');
    await summarize();
    changeWindow();
    facts = next({ ...facts, capture: covered(), replay: following(), now: fleet.now, usage: undefined }, 0);
    pass(1000);
    expect((await summarize())?.message).toContain(CHANGED);
  });

  test('although a restarted operator finds less in the stream', async () => {
    const sidecar = fleet.sidecar('api-1');
    await busyHour(sidecar);
    expect((await summarize())?.message).toContain(FIRST);
    do sidecar.end();
    while (JSON.stringify(fleet.reports()).includes('production'));
    fleet.sidecar('api-2');
    operator = fleet.operator();
    changeWindow();
    pass(HOUR);
    expect(await summarize()).toMatchObject({ writesPerDay: 9, message: expect.stringContaining(CHANGED) });
  });
});

/** Nine writes of the project, and so many of others that each report has room for some only. */
async function busyHour(sidecar: TestSidecar): Promise<void> {
  sidecar.serve('production', 'flagsmith-js-sdk/9.3.1', 'write', 9);
  for (let other = 0; other < 60; other += 1) sidecar.serve(`others-${other}`, 'curl/8', 'write');
  pass(HOUR);
  for (let report = 0; report < 6; report += 1) {
    pass(60_000);
    await summarize();
  }
}

test('a restarted operator that finds less in the stream does not call a project quiet that was written to today', async () => {
  const sidecar = fleet.sidecar('api-1');
  pass(3 * DAY_MS);
  expect((await summarize())?.state).toBe('Quiet');
  await busyHour(sidecar);
  const before = await summarize();
  expect(before).toMatchObject({ state: 'Writing', writesPerDay: 9 });
  do sidecar.end();
  while (JSON.stringify(fleet.reports()).includes('production'));
  fleet.sidecar('api-2');
  operator = fleet.operator();
  pass(HOUR);
  expect(await summarize()).toEqual({ ...before, countedUntil: expect.any(String) });
  pass(2 * DAY_MS);
  expect((await summarize())?.state).toBe('Quiet');
});

test('a restarted operator reports since when it knows of the written identities', async () => {
  const sidecar = fleet.sidecar('api-1');
  for (let day = 0; day < 5; day += 1) {
    if (day > 0) pass(DAY_MS);
    sidecar.write('production', 'curl/8', [`user-${day}`]);
    await summarize();
  }
  const known = facts.migration.status.replay?.stillOnCore;
  expect(known).toMatchObject({ identities: 5, identitiesSince: '2026-11-01' });
  operator = fleet.operator();
  pass(HOUR);
  const status = await summarize();
  expect(status).toMatchObject({ identities: 3, identitiesSince: '2026-11-03' });
  expect(status?.message).toContain('(at least about 3 identities since 2026-11-03)');
});

test('a client that only reads is still on Core', async () => {
  fleet.sidecar('api-1').serve('production', 'flagsmith-go-sdk/v5.2.0', 'read', 9);
  expect(await summarize()).toMatchObject({
    state: 'Reading',
    readsPerDay: 9,
    clients: [{ name: 'flagsmith-go-sdk/5.2.0', writesPerDay: 0, readsPerDay: 9 }],
  });
});

test('writes after the deadline are counted for a month, and reported as lost to Edge', async () => {
  const sidecar = fleet.sidecar('api-1');
  await summarize();
  pass((WEEKS + 20) * DAY_MS);
  sidecar.serve('production', 'flagsmith-js-sdk/9.3.1', 'write', 5);
  const status = await summarize();
  expect(status).toMatchObject({ state: 'Writing', writesPerDay: 5 });
  expect(status?.message).toMatch(/since 2026-11-29T12:00:00Z these writes do not reach Edge/);
  pass(12 * DAY_MS);
  sidecar.serve('production', 'flagsmith-js-sdk/9.3.1', 'write', 5);
  expect(await summarize()).toEqual(status);
  expect(decide({ ...facts, now: fleet.now, usage: operator.project(42) }).nextTime).toBeUndefined();
});

test('status and series are written when they have changed, and at intervals', async () => {
  const sidecar = fleet.sidecar('api-1');
  let statuses = 0;
  let before = await summarize();
  for (let minute = 0; minute < 24 * 60; minute += 1) {
    pass(60_000);
    sidecar.serve('production', 'curl/8', 'write');
    const status = await summarize();
    if (status?.countedUntil !== before?.countedUntil) statuses += 1;
    before = status;
  }
  expect(statuses).toBeLessThanOrEqual(24 * 6 + 1);
  expect(written).toBeLessThanOrEqual(26);
  expect(statuses).toBeGreaterThan(100);
});

describe('the series of requests', () => {
  const day = (date: string, writes: number, rows = 60): UsageSeries['days'][number] => ({
    date,
    known: 'all',
    writes,
    reads: 0,
    rows: Array.from({ length: rows }, (_, index) => ({
      environment: 2_147_483_647,
      client: `flagsmith-kotlin-android-sdk/1234.1234.${index}`,
      writes: 1e12,
      reads: 1e12,
    })),
  });
  const dateAfter = (days: number) => new Date(NOON + days * DAY_MS).toISOString().slice(0, 10);

  test('fits into a ConfigMap for the longest window and a month', () => {
    const all = Array.from({ length: 500 }, (_, index) => day(dateAfter(index), 1));
    const fitted = extendSeries(undefined, all, 396);
    expect(JSON.stringify(fitted).length).toBeLessThan(950_000);
    expect(fitted.days).toHaveLength(396);
    expect(fitted.days.at(-1)?.rows).toHaveLength(60);
    expect(fitted.days[0]).toMatchObject({ writes: 1, rows: [] });
  });

  test('keeps its counts of a day when the stream has lost reports', () => {
    const before = extendSeries(undefined, [day(dateAfter(0), 100, 1)], 59);
    expect(extendSeries(before, [day(dateAfter(0), 40, 1)], 59)).toEqual(before);
    expect(extendSeries(before, [day(dateAfter(0), 140, 1)], 59).days[0]?.writes).toBe(140);
    const other = { environment: 1, client: 'curl', writes: 3, reads: 0 };
    const fewer = { ...day(dateAfter(0), 3, 0), rows: [other] };
    const joined = extendSeries(before, [fewer], 59);
    expect(joined.days[0]).toMatchObject({ writes: 100, rows: [before.days[0]?.rows[0], other] });
    expect(extendSeries(joined, [fewer], 59)).toEqual(joined);
  });
});
