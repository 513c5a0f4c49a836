import { type ApplierReport, encodeReport } from '@edge-migration/contract/reports/applier.ts';
import { REPORT_STREAM, REPORT_SUBJECTS, reportSubject } from '@edge-migration/contract/streams/applier.ts';
import { useJetStream } from '@edge-migration/test/cluster/jetstream.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { jetstream } from '@nats-io/jetstream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAppliers } from './appliers.ts';

const on = useJetStream();
const addStream = () =>
  on.manager.streams.add({ name: REPORT_STREAM, subjects: [REPORT_SUBJECTS], allow_direct: true });
beforeEach(addStream);
afterEach(() => on.manager.streams.delete(REPORT_STREAM));

const NOW = Date.parse('2026-05-01T12:00:00Z');
const iso = (time: number) => new Date(time).toISOString();

function report(process: string, applied: Record<number, number>, changes: Partial<ApplierReport> = {}): ApplierReport {
  return {
    version: 1,
    process,
    instance: process,
    startedTime: iso(NOW - 60_000),
    time: iso(NOW),
    goodbye: false,
    confirmed: true,
    outage: null,
    foreign: 0,
    projects: Object.entries(applied).map(([projectId, count]) => ({
      projectId: Number(projectId),
      applied: { updated: count },
      dropped: {},
      parked: {},
      failed: 0,
      inHand: 0,
      oldestObservedTime: null,
      lastAppliedTime: iso(NOW),
    })),
    ...changes,
  };
}

async function publish(...reports: ApplierReport[]): Promise<void> {
  for (const each of reports) {
    const { payload, headers } = encodeReport(each);
    await jetstream(on.connection, { timeout: 60_000 }).publish(reportSubject(each.process), payload, { headers });
  }
}

test('the counters of ended applier processes stay part of the total', async () => {
  const appliers = createAppliers();
  await publish(report('one', { 1: 5 }, { goodbye: true }), report('two', { 1: 7, 2: 1 }));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, NOW - 1000)).toMatchObject({ appliers: 1, project: { applied: 12 } });
  expect(appliers.replay(2, NOW - 1000).project.applied).toBe(1);
  await publish(report('two', { 1: 8, 2: 1 }));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, NOW - 1000).project.applied).toBe(13);
});

test('Edge is unreachable once no living applier reaches it, since the last of them could', async () => {
  const appliers = createAppliers();
  const silent = (process: string, seconds: number) =>
    report(process, {}, { time: iso(Date.now()), edgeUnreachableSince: iso(NOW - 1000 * seconds) });
  await publish(silent('one', 300), report('two', {}));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, 0).edgeUnreachableSince).toBeUndefined();
  await publish(silent('two', 200), report('gone', {}, { goodbye: true }));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, 0).edgeUnreachableSince).toBe(NOW - 200_000);
  expect(appliers.replay(1, Date.now() + 60_000).edgeUnreachableSince).toBeUndefined();
});

test('appliers that write in another region are reported, with the time since the first of them does', async () => {
  const appliers = createAppliers();
  const away = (process: string, seconds: number, region = 'us-east-2', confirmed = true) => {
    const since = iso(NOW - 1000 * seconds);
    const where = { region, home: 'eu-west-2', since, reason: 'eu-west-2 has not answered for 60 s' };
    return report(process, {}, { time: iso(Date.now()), confirmed, away: where });
  };
  const others = [report('three', {}, { time: iso(Date.now()) }), away('four', 400, 'us-west-2', false)];
  await publish(away('one', 100), away('two', 300), ...others);
  await appliers.refresh(on.manager);
  const both = { home: 'eu-west-2', since: NOW - 300_000, reason: 'eu-west-2 has not answered for 60 s', appliers: 2 };
  expect(appliers.replay(1, 0).away).toEqual({ ...both, regions: ['us-east-2'] });
  await publish(away('one', 100, 'ap-south-1'));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, 0)).toMatchObject({ appliers: 3, away: { ...both, regions: ['ap-south-1', 'us-east-2'] } });
  await publish(report('one', {}), report('two', {}));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, 0).away).toBeUndefined();
});

test.for([
  ['right', 0],
  ['an hour ahead', 3_600_000],
  ['an hour behind', -3_600_000],
] as const)('a silent applier counts as dead and a reporting one as alive when its clock is %s', async ([, ahead]) => {
  const appliers = createAppliers();
  const made = Date.now();
  await publish(report('one', { 1: 5 }, { time: iso(made + ahead) }));
  const stored = Date.now();
  await appliers.refresh(on.manager);
  const { time } = (await on.manager.streams.getMessage(REPORT_STREAM, { last_by_subj: reportSubject('one') }))!;
  expect(appliers.countApplying(time.getTime())).toBe(1);
  expect(appliers.countApplying(time.getTime() + 1)).toBe(0);
  const [alive] = appliers.listAlive(time.getTime());
  expect(Math.abs(alive!.ahead - ahead)).toBeLessThanOrEqual(stored - made + 1);
});

test('reports about thousands of projects fit into messages, and arrive in batches of any size', async () => {
  const appliers = createAppliers();
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [index + 1, index]));
  await publish(...Array.from({ length: 300 }, (_, index) => report(`small-${index}`, { 77: 1 })), report('big', many));
  await appliers.refresh(on.manager);
  expect(appliers.replay(77, NOW).project.applied).toBe(300 + 76);
  expect(appliers.replay(10_000, NOW).project.applied).toBe(9_999);
});

test('a recreated or restored stream of reports is read from its beginning', async () => {
  const appliers = createAppliers();
  await publish(report('one', { 1: 5 }), report('one', { 1: 6 }));
  await appliers.refresh(on.manager);
  const { created } = await on.manager.streams.info(REPORT_STREAM);
  await waitFor(
    async () => {
      await on.manager.streams.delete(REPORT_STREAM);
      return (await addStream()).created !== created;
    },
    { for: 'another stream' },
  );
  await publish(report('two', { 1: 2 }));
  await appliers.refresh(on.manager);
  expect(appliers.replay(1, NOW - 1000)).toMatchObject({ appliers: 1, project: { applied: 2 } });
});

test('messages that are no reports are ignored', async () => {
  const appliers = createAppliers();
  await jetstream(on.connection, { timeout: 60_000 }).publish(reportSubject('odd'), 'no report');
  await publish(report('one', { 1: 5 }));
  await appliers.refresh(on.manager);
  expect(appliers.countApplying(NOW - 1000)).toBe(1);
});
