import type { CheckOutcome } from '@edge-migration/operator/check/check.ts';
import type { InstallationReport } from '@edge-migration/operator/installation/report.ts';
import { formatDuration } from '@edge-migration/operator/requests/duration.ts';
import type { CheckResult, CheckStatus } from './checkup.ts';

/** The operator's report of the installation. */
export type InstallationFact =
  | {
      readonly kind: 'found';
      readonly report: InstallationReport;
      /** When the API server stored it, by its own clock: the operator's may be wrong. Milliseconds since the epoch. */
      readonly savedTime: number;
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly problem: string };

/** A check that was run in the cluster on request. */
export type ProbeFact =
  | { readonly kind: 'done'; readonly outcomes: readonly CheckOutcome[] }
  | { readonly kind: 'failed'; readonly problem: string }
  | undefined;

/** It is written at least once a minute. */
const FRESH_MS = 3 * 60_000;
/** Processes that are named one by one; the rest is a number. */
const MOST_NAMED = 10;

const SUBJECTS = 'Postgres, DynamoDB, NATS, coverage, appliers, clocks, versions of the processes';

/**
 * Judges the operator's report. Anything not reported, or not reported recently, is unknown, never healthy.
 *
 * @param now by the API server's clock, milliseconds since the epoch
 */
export function examineInstallation(fact: InstallationFact, now: number, release: string): CheckResult[] {
  if (fact.kind === 'missing') {
    const message = `not checked: ${SUBJECTS}: there is no report of the operator`;
    return [
      unknown('installation', message, 'check that an operator of this release is running, or run doctor --probe'),
    ];
  }
  if (fact.kind === 'unreadable') {
    const message = `not checked: ${SUBJECTS}: the operator's report cannot be read: ${fact.problem}`;
    return [unknown('installation', message, 'doctor --probe runs the check of helm test directly')];
  }
  const { report, savedTime } = fact;
  const findings = [
    ...examineChecks(report),
    ...examineCoverage(report),
    ...examineAppliers(report),
    ...examineClocks(report),
    ...examineReleases(report, release),
  ];
  const age = now - savedTime;
  const since = formatDuration(age / 1000);
  if (age <= FRESH_MS) return [describeReport(report, since), ...findings];
  const message = `the operator has not reported for ${since}: the findings below date from ${new Date(savedTime).toISOString()}`;
  const remedy = 'docs/runbooks/EdgeMigrationNoLeader.md; doctor --probe checks now';
  return [
    unknown('installation', message, remedy),
    ...findings.map((finding) => ({ ...finding, verdict: 'unknown' as const })),
  ];
}

/** The age of the report. */
function describeReport({ instance, time, checkedTime }: InstallationReport, since: string): CheckResult {
  const checked = formatDuration((Date.parse(time) - Date.parse(checkedTime)) / 1000);
  const message = `${instance} leads, and reported ${since} ago; it had checked the stores ${checked} before`;
  return { check: 'installation', verdict: 'ok', message };
}

/** The result of the check when it was run as a Job. */
export function examineProbe(probe: ProbeFact): CheckResult[] {
  if (probe === undefined) return [];
  if (probe.kind === 'failed') return [unknown('probe', probe.problem, 'docs/cli.md, "Probe"')];
  return probe.outcomes.map((outcome) => describeOutcome(outcome, `probe ${outcome.name}`));
}

function examineChecks({ checks }: InstallationReport): CheckResult[] {
  const isLooked = (name: string) => checks.some((check) => check.name === name);
  const missing = ['Postgres', 'DynamoDB'].filter((name) => !isLooked(name));
  return [
    ...checks.map((check) => describeOutcome(check, check.name)),
    ...missing.map((name) => unknown(name, 'not checked by the operator', 'doctor --probe')),
  ];
}

function describeOutcome({ verdict, text, remedy }: InstallationReport['checks'][number], check: string): CheckResult {
  return { check, verdict, message: text, ...(remedy === undefined ? {} : { remedy }) };
}

const COVERAGE_PAGE = 'docs/runbooks/EdgeMigrationNotCovered.md';

function examineCoverage({ coverage, coreApiPods }: InstallationReport): CheckResult[] {
  const check = 'coverage';
  if (coverage === null)
    return [
      { check, verdict: 'warning', message: 'capture is disabled: writes to Core after a copy do not reach Edge' },
    ];
  if (coverage.state === 'unknown')
    return [unknown(check, coverage.message, 'docs/runbooks/EdgeMigrationStreamUnreachable.md')];
  if (coreApiPods === null) return [unknown(check, 'the pods of the Core API are unknown', COVERAGE_PAGE)];
  const isCovered = coverage.state === 'covered';
  // The message of `capturing` names the uncovered pods, which have results of their own.
  const message = isCovered ? coverage.message : 'not every write to Core is captured';
  const summary: CheckResult = {
    check,
    verdict: isCovered ? 'ok' : 'failed',
    message,
    ...(!isCovered && { remedy: COVERAGE_PAGE }),
  };
  const pods = coreApiPods.listed.filter(({ state }) => state !== 'covered');
  const named = pods.slice(0, MOST_NAMED).map(
    ({ name, state, message: what }): CheckResult => ({
      check: `coverage of pod ${name}`,
      verdict: state === 'starting' ? 'unknown' : 'failed',
      message: what,
      ...(state === 'uncovered' && { remedy: COVERAGE_PAGE }),
    }),
  );
  // Static sidecars and gaps are in no pod's own result.
  const isTold = isCovered || named.some(({ verdict }) => verdict === 'failed');
  return [
    isTold ? summary : { ...summary, message: coverage.message },
    ...named,
    ...further(check, pods.length, 'Core API pods that are not covered', isCut(coreApiPods, pods.length)),
  ];
}

function examineAppliers({ appliers, coverage }: InstallationReport): CheckResult[] {
  const check = 'appliers';
  if (coverage === null) return [];
  if (appliers === null)
    return [
      unknown(check, 'the reports of the appliers are unknown', 'docs/runbooks/EdgeMigrationStreamUnreachable.md'),
    ];
  const remedy = 'docs/runbooks/EdgeMigrationAppliersDown.md';
  const well = appliers.listed.filter(({ applying, outage }) => applying && outage === null);
  const unwell = appliers.listed.filter(({ applying, outage }) => !applying || outage !== null);
  const verdict: CheckStatus =
    well.length === 0 && unwell.every(({ applying }) => !applying) ? 'failed' : unwell.length > 0 ? 'warning' : 'ok';
  const message =
    appliers.total === 0
      ? 'none has reported in the last seconds'
      : `${appliers.total - unwell.length} of ${appliers.total} apply writes to Core`;
  const named = unwell.slice(0, MOST_NAMED).map(
    ({ instance, outage }): CheckResult => ({
      check: `applier ${instance}`,
      verdict: 'warning',
      message: outage ?? 'does not apply events: its view of the EdgeMigrations is stale',
      remedy,
    }),
  );
  return [
    { check, verdict, message, ...(verdict !== 'ok' && { remedy }) },
    ...named,
    ...further(check, unwell.length, 'appliers', isCut(appliers, unwell.length)),
  ];
}

function examineClocks({ wrongClocks, clocks, coverage }: InstallationReport): CheckResult[] {
  const check = 'process clocks';
  if (coverage === null) return [];
  if (clocks === 0)
    return [
      unknown(
        check,
        'no clock could be compared with the clock of NATS',
        'docs/runbooks/EdgeMigrationStreamUnreachable.md',
      ),
    ];
  if (wrongClocks.total === 0)
    return [
      {
        check,
        verdict: 'ok',
        message: `the clocks of ${clocks} processes are within five seconds of the clock of NATS`,
      },
    ];
  const named = wrongClocks.listed.slice(0, MOST_NAMED).map(
    ({ process, aheadSeconds }): CheckResult => ({
      check: `clock of ${process}`,
      verdict: 'warning',
      message: `${formatDuration(Math.abs(aheadSeconds))} ${aheadSeconds > 0 ? 'ahead' : 'behind'}`,
      remedy: 'correct the time synchronisation of its node; nothing is lost up to ten minutes',
    }),
  );
  return [...named, ...further(check, wrongClocks.total, 'clocks', false)];
}

/** During a rolling upgrade releases differ for a while, so a difference is no failure. */
function examineReleases({ release, coreApiPods, appliers }: InstallationReport, own: string): CheckResult[] {
  const check = 'versions';
  const remedy = 'docs/upgrade.md';
  const others = [
    { process: 'this program', release: own },
    ...(coreApiPods?.listed ?? []).flatMap(({ name, release: theirs, state }) =>
      state === 'starting' ? [] : [{ process: `the sidecar of pod ${name}`, release: theirs }],
    ),
    ...(appliers?.listed ?? []).map(({ instance, release: theirs }) => ({
      process: `applier ${instance}`,
      release: theirs,
    })),
  ];
  const different = others.filter((other) => other.release !== undefined && other.release !== release);
  const silent = others.filter((other) => other.release === undefined).map(({ process }) => process);
  const findings = different.slice(0, MOST_NAMED).map(
    ({ process, release: theirs }): CheckResult => ({
      check,
      verdict: 'warning',
      message: `${process} is of release ${theirs}, the operator of ${release}`,
      remedy,
    }),
  );
  const silence =
    silent.length === 0
      ? []
      : [unknown(check, `${silent.length} do not report their release: ${silent.slice(0, 3).join(', ')}`, remedy)];
  if (different.length > 0)
    return [...findings, ...further(check, different.length, 'processes of another release', false), ...silence];
  const known = others.length - silent.length;
  return [{ check, verdict: 'ok', message: `the operator and ${known} more are of release ${release}` }, ...silence];
}

/** @param isCut the report itself lists only some of them */
function further(check: string, count: number, what: string, isCut: boolean): CheckResult[] {
  if (count <= MOST_NAMED) return [];
  return [{ check, verdict: 'warning', message: `${isCut ? 'at least ' : ''}${count - MOST_NAMED} more ${what}` }];
}

/** Unhealthy ones come first: if all listed ones are unhealthy there may be more. */
const isCut = ({ total, listed }: { readonly total: number; readonly listed: readonly unknown[] }, unwell: number) =>
  unwell === listed.length && total > listed.length;

const unknown = (check: string, message: string, remedy: string): CheckResult => ({
  check,
  verdict: 'unknown',
  message,
  remedy,
});
