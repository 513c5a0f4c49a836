import type { EdgeMigration, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import { migration as build, NOON } from '../edge-migration/testing/facts.ts';
import { renderEvents } from './events.ts';
import { renderList } from './list.ts';
import { isAbout } from './log-line.ts';
import { printable } from './printable.ts';
import { describeProgress, findOutcome, renderProgress } from './progress.ts';
import { buildReport, writeReport } from './report.ts';
import { renderStatus } from './status.ts';

const HOSTILE = 'gone\u001b[2J\u202e<script>|`x`\nnext';

const copying: Status = {
  observedGeneration: 1,
  phase: 'Copying',
  message: '50/200 done',
  progress: '50/200 (25%)',
  copy: {
    startTime: '2026-05-04T11:59:00Z',
    identitiesTotal: 200,
    identitiesRead: 50,
    identitiesPerSecond: 1500,
    estimatedCompletionTime: '2026-05-04T12:02:05Z',
  },
  skipped: { total: 3, byReason: [{ reason: 'IdentifierTooLong', count: 3 }] },
};

const withStatus = (status: Status): EdgeMigration => build({ status });

describe('a list of migrations', () => {
  test('has the columns of kubectl get, which are empty for unknown values', () => {
    const text = renderList([withStatus(copying), build()], { wide: false, withNamespace: false, now: NOON });
    expect(text.split('\n')).toEqual([
      'NAME         PROJECT   PHASE     PROGRESS       LAG   DEADLINE   AGE',
      'project-42   42        Copying   50/200 (25%)                    1m',
      'project-42   42        Unknown                                   1m',
      '',
    ]);
  });

  test('shows namespaces, skipped and failed counts, and messages if it is wide', () => {
    const text = renderList([withStatus(copying)], { wide: true, withNamespace: true, now: NOON });
    expect(text).toMatch(/^NAMESPACE {3,}NAME .*SKIPPED {3,}FAILED {3,}MESSAGE\ncustomers .* 3 .* 50\/200 done\n$/s);
  });
});

describe('the progress of a migration', () => {
  test('as a line shows rate, remaining time, budget and skipped identities', () => {
    expect(describeProgress(withStatus(copying), NOON)).toBe(
      'customers/project-42  Copying  50/200 (25%)  1,500/s  ETA 2m5s  at most 4,000 WU/s  skipped 3',
    );
  });

  test('during replay shows lag, deadline and gaps', () => {
    const status: Status = {
      phase: 'Replaying',
      replay: { lag: '4s', deadline: '2026-05-07T16:00:00Z' },
      gaps: [{ from: '2026-05-04T10:00:00Z', reason: 'noSidecar' }],
    };
    expect(describeProgress(withStatus(status), NOON)).toBe(
      'customers/project-42  Replaying  lag 4s  deadline in 3d4h  gaps 1',
    );
  });

  test('shows how much is still written to Core, unless that is not counted', () => {
    const said = (stillOnCore: NonNullable<NonNullable<Status['replay']>['stillOnCore']>) =>
      describeProgress(withStatus({ phase: 'Replaying', replay: { stillOnCore } }), NOON);
    expect(said({ state: 'Writing', message: '', writesPerDay: 1200 })).toContain('still 1,200 writes/day to Core');
    expect(said({ state: 'Unknown', message: '' })).toBe('customers/project-42  Replaying');
    expect(said({ state: 'Gone', message: '' })).toContain('no clients on Core');
  });

  test('on a terminal is a bar, with no line longer than the width of the terminal', () => {
    const lines = renderProgress(withStatus(copying), NOON, 60);
    expect(lines[1]).toMatch(/^ {2}\[#{6}\.{18}\] {2}50\/200/);
    expect(Math.max(...lines.map((line) => line.length))).toBe(60);
  });

  test('has ended only when the operator has processed the present spec', () => {
    const status = (generation: number): Status => ({
      observedGeneration: generation,
      conditions: [{ type: 'Succeeded', status: 'True', reason: 'Planned', message: '', lastTransitionTime: '' }],
    });
    expect(findOutcome(build({ generation: 2, status: status(1) }))).toBeUndefined();
    expect(findOutcome(build({ generation: 2, status: status(2) }))).toBe('succeeded');
    expect(findOutcome(build())).toBeUndefined();
  });
});

describe('the text of a status', () => {
  test('without conditions reports that no operator has processed the migration', () => {
    expect(renderStatus(build(), NOON)).toContain('no operator has processed it yet');
  });

  test('names the clients that still call Core, and marks uncounted values as unknown', () => {
    const stillOnCore = {
      state: 'Writing' as const,
      message: 'one client still writes',
      clients: [{ name: 'flagsmith-js-sdk/9.3.1', writesPerDay: 7 }],
    };
    const text = renderStatus(withStatus({ replay: { stillOnCore } }), NOON);
    expect(text).toMatch(/Still on Core: +one client still writes\n +Counted a day: +not known\n/);
    expect(text).toContain('flagsmith-js-sdk/9.3.1 (7 writes)');
  });

  test('shows the reasons for skipped identities, and a pending request', () => {
    const text = renderStatus(build({ status: copying }, { retry: 'verify-1' }), NOON);
    expect(text).toContain('Skipped:      3 (IdentifierTooLong 3)');
    expect(text).toContain('spec.retry verify-1 is not taken yet');
  });

  test('shows what a plan is billed in each region, and the costs that it excludes', () => {
    const priced = { table: 'identities', writeUnits: 2_000_000, costUSD: '1.25' };
    const writes = [
      { region: 'eu-west-2', ...priced },
      { region: 'us-east-2', ...priced, index: 'by-key' },
    ];
    const text = renderStatus(build({ status: { plan: { costUSD: '2.50', writes } } }), NOON);
    expect(text).toContain('about 2.50 USD in 2 regions, without the transfer between them');
    expect(text).toMatch(/us-east-2 {3}identities {3}by-key {3}2,000,000 {5}1\.25/);
  });
});

describe('text from others', () => {
  test('cannot control a terminal, reverse its text or begin a line', () => {
    expect(printable(HOSTILE)).toBe('gone\ufffd[2J\ufffd<script>|`x`\ufffdnext');
    const hostile = withStatus({ phase: 'Failed', message: HOSTILE, replay: { lag: HOSTILE } });
    const options = { wide: true, withNamespace: true, now: NOON };
    const texts = [renderList([hostile], options), renderStatus(hostile, NOON), describeProgress(hostile, NOON)];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    for (const text of texts) expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });

  test('stays text in a report, without becoming markup, HTML or a table cell', () => {
    const facts = { migration: withStatus({ message: HOSTILE }), now: NOON, audit: undefined, comparison: undefined };
    expect(writeReport(facts)).toContain('gone\ufffd\\[2J\ufffd&lt;script\\>\\|\\`x\\`\ufffdnext');
  });
});

describe('a report in Markdown or JSON', () => {
  const audit = { name: 'project-42-0a1b2c3d-audit', data: { 'audit.txt': 'all is well\n', 'audit.json': '{"a":1}' } };
  const comparison = { name: 'project-42-verify-1-report', problem: 'get configmaps: Forbidden (403)' };
  const facts = { migration: withStatus(copying), now: NOON, audit, comparison };

  test('includes the audit of the migration, and names the parts that could not be read', () => {
    const text = writeReport(facts);
    expect(text).toContain('# Migration of project 42 from Core to Edge');
    expect(text).toContain('| Progress | 50/200 (25%) |');
    expect(text).toContain('    all is well');
    expect(text).toContain(
      'It could not be read: ConfigMap project-42-verify-1-report: get configmaps: Forbidden (403)',
    );
  });

  test('for programs includes spec and status unchanged, and names the missing parts', () => {
    expect(buildReport(facts)).toMatchObject({
      reportTime: '2026-05-04T12:00:00Z',
      edgeMigration: { name: 'project-42', status: copying },
      audit: { a: 1 },
      incomplete: ['ConfigMap project-42-verify-1-report: get configmaps: Forbidden (403)'],
    });
  });
});

test('events are ordered by when they were last observed, by any of the fields for that', () => {
  const event = (reason: string, times: object) => ({
    metadata: { creationTimestamp: '2026-05-04T09:00:00Z' },
    involvedObject: { name: 'project-42' },
    type: 'Normal',
    reason,
    message: '',
    ...times,
  });
  const text = renderEvents(
    [
      event('Third', {
        eventTime: '2026-05-04T10:00:00Z',
        series: { count: 4, lastObservedTime: '2026-05-04T11:58:00Z' },
      }),
      event('First', { lastTimestamp: null, eventTime: null }),
      event('Second', { eventTime: '2026-05-04T11:00:00Z' }),
    ],
    NOON,
  );
  const rows = text.trimEnd().split('\n').slice(1);
  expect(rows.map((row) => row.split(/ {2,}/).slice(0, 3))).toEqual([
    ['3h', 'Normal', 'First'],
    ['1h', 'Normal', 'Second'],
    ['2m (x4)', 'Normal', 'Third'],
  ]);
});

test("the operator's log lines about a migration are recognised by its uid, or else by its project", () => {
  const { uid } = build();
  expect(isAbout(JSON.stringify({ uid, msg: 'x' }), build())).toBe(true);
  expect(isAbout(JSON.stringify({ uid: 'another', projectId: 42 }), build())).toBe(false);
  expect(isAbout(JSON.stringify({ projectId: 42 }), build())).toBe(true);
  expect(isAbout('no JSON', build())).toBe(false);
});
