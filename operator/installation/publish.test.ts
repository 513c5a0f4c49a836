import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { until } from '@edge-migration/kubernetes/testing/until.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { INSTALLATION_POLL_MS, INSTALLATION_REPORT_MS } from '@edge-migration/runtime/policies.ts';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Check } from '../check/check.ts';
import type { Instances } from '../edge-migration/stream.ts';
import { buildInstallationReport } from './build.ts';
import { reportInstallation } from './publish.ts';
import { INSTALLATION_REPORT, installationReport, MOST_LISTED, REPORT_KEY } from './report.ts';

const NAMESPACE = 'edge-migration';
const fake = useFake([CONFIG_MAPS], { retries: 0 });

let applying = true;
beforeEach(() => {
  applying = true;
});

const readInstances = (): Instances => ({
  coreApiPods: [
    { name: 'api-0', state: 'covered', message: 'it is covered', release: '0.1.0' },
    { name: 'api-1', state: 'uncovered', message: 'it has no sidecar', release: undefined },
  ],
  appliers: [{ instance: 'applier-0', release: undefined, applying, outage: null }],
});

/** A check that counts its runs, and fails on demand. */
function countingCheck() {
  const state = { runs: 0, problem: undefined as string | undefined, warnings: [] as string[] };
  const check: Check = {
    name: 'Postgres',
    remedy: 'look at it',
    async run() {
      state.runs += 1;
      if (state.problem !== undefined) throw new Error(state.problem);
      return { text: 'it answers', warnings: state.warnings };
    },
  };
  return { state, check };
}

async function read() {
  const object = await fake.client.get(CONFIG_MAPS, { namespace: NAMESPACE, name: INSTALLATION_REPORT });
  const text = (object?.['data'] as Record<string, string> | undefined)?.[REPORT_KEY];
  return text === undefined ? undefined : installationReport.parse(JSON.parse(text));
}

function run(check: Check) {
  const stop = new AbortController();
  const stream = {
    capture: () => ({ kind: 'unknown' as const, reason: 'StreamUnreachable', message: 'not connected to NATS yet' }),
    instances: readInstances,
    clocks: () => [{ process: 'the operator', ahead: 8_000 }],
  };
  const settings = { namespace: NAMESPACE, instance: 'operator-0', checks: [check], stream, clock: fake.clock };
  const logger = createLogger('test', 'silent');
  const running = reportInstallation({ ...settings, client: fake.client, logger }, stop.signal);
  return async () => {
    stop.abort(new Error('over'));
    await running;
  };
}

const paused = () => until(() => fake.clock.pending()[0] === INSTALLATION_POLL_MS);

async function waitForChecks(times = 1) {
  for (let time = 0; time < times; time++) {
    await fake.clock.advance(INSTALLATION_POLL_MS);
    await paused();
  }
}

const pass = (minutes: number) => waitForChecks((minutes * INSTALLATION_REPORT_MS) / INSTALLATION_POLL_MS);

describe('the leading operator', () => {
  test('publishes the state of the stores, the reports of processes, and the wrong clocks', async () => {
    const stop = run(countingCheck().check);
    await paused();
    expect(await read()).toMatchObject({
      instance: 'operator-0',
      checks: [{ name: 'Postgres', verdict: 'ok', text: 'it answers' }],
      coverage: { state: 'unknown', message: 'not connected to NATS yet' },
      coreApiPods: { total: 2, listed: [{ name: 'api-1' }, { name: 'api-0', release: '0.1.0' }] },
      wrongClocks: { total: 1, listed: [{ process: 'the operator', aheadSeconds: 8 }] },
    });
    await stop();
  });

  test('publishes every minute, and checks healthy stores every five', async () => {
    const { check, state } = countingCheck();
    const stop = run(check);
    await paused();
    const first = await read();
    await pass(4);
    expect(state.runs).toBe(1);
    const later = await read();
    expect(Date.parse(later!.time) - Date.parse(first!.time)).toBe(4 * INSTALLATION_REPORT_MS);
    expect(later!.checkedTime).toBe(first!.checkedTime);
    await pass(1);
    expect(state.runs).toBe(2);
    await stop();
  });

  test('publishes changes of processes within seconds, and nothing while they report the same', async () => {
    const stop = run(countingCheck().check);
    await paused();
    const before = await read();
    await waitForChecks(3);
    expect(await read()).toEqual(before);
    applying = false;
    await waitForChecks();
    expect(await read()).toMatchObject({ appliers: { listed: [{ instance: 'applier-0', applying: false }] } });
    await stop();
  });

  test('checks a failed store every minute until it is healthy', async () => {
    const { check, state } = countingCheck();
    state.problem = 'db:5432 refuses the password';
    const stop = run(check);
    await paused();
    expect((await read())?.checks).toEqual([
      { name: 'Postgres', verdict: 'failed', text: 'db:5432 refuses the password', remedy: 'look at it' },
    ]);
    state.problem = undefined;
    await pass(1);
    expect((await read())?.checks[0]?.verdict).toBe('ok');
    await pass(1);
    expect(state.runs).toBe(2);
    await stop();
  });

  test('checks a store with a new warning soon, and ever less often while the warning stays the same', async () => {
    const { check, state } = countingCheck();
    const stop = run(check);
    await paused();
    state.warnings = ['it has no index'];
    await pass(5);
    expect(state.runs).toBe(2);
    // After one minute, two, four, and five from then on.
    await pass(1 + 2 + 4 + 5);
    expect(state.runs).toBe(6);
    await pass(4);
    expect(state.runs).toBe(6);
    await stop();
  });

  test('continues when its report cannot be written', async () => {
    fake.server.fail(({ verb }) => verb === 'patch' || verb === 'apply', { status: 403, reason: 'Forbidden' });
    const stop = run(countingCheck().check);
    await paused();
    expect(await read()).toBeUndefined();
    await pass(1);
    expect(await read()).toBeDefined();
    await stop();
  });
});

test('a report of thousands of processes with long messages stays small and includes the unhealthy ones', () => {
  const long = 'x'.repeat(100_000);
  const pods = Array.from({ length: 5000 }, (_, index) => ({
    name: `api-${index}`,
    state: index === 4999 ? ('uncovered' as const) : ('covered' as const),
    message: long,
    release: '0.1.0',
  }));
  const report = buildInstallationReport({
    now: 0,
    checkedTime: 0,
    release: '0.1.0',
    instance: 'operator-0',
    outcomes: [{ name: 'Postgres', verdict: 'failed', text: long }],
    capture: { kind: 'disabled' },
    instances: { coreApiPods: pods, appliers: [{ instance: 'a', release: undefined, applying: false, outage: long }] },
    clocks: Array.from({ length: 5000 }, (_, index) => ({ process: `p-${index}`, ahead: 60_000 + index })),
  });
  expect(installationReport.parse(report)).toEqual(report);
  expect(JSON.stringify(report).length).toBeLessThan(300_000);
  expect(report.coreApiPods).toMatchObject({ total: 5000 });
  expect(report.coreApiPods?.listed[0]).toMatchObject({ name: 'api-4999', state: 'uncovered' });
  expect(report.coreApiPods?.listed).toHaveLength(MOST_LISTED);
});
