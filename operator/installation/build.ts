import type { CheckOutcome } from '../check/check.ts';
import { type ClockFact, SKEW_MS } from '../edge-migration/clock-skew.ts';
import { formatTime } from '../edge-migration/conditions.ts';
import type { CaptureFact } from '../edge-migration/facts.ts';
import type { Instances } from '../edge-migration/stream.ts';
import { type InstallationReport, MOST_CHARACTERS, MOST_LISTED } from './report.ts';

export interface InstallationFacts {
  /** Milliseconds since the epoch, like the next one. */
  readonly now: number;
  readonly checkedTime: number;
  readonly release: string;
  readonly instance: string;
  readonly outcomes: readonly CheckOutcome[];
  readonly capture: CaptureFact;
  readonly instances: Instances | undefined;
  readonly clocks: readonly ClockFact[];
}

/** The report of an installation: limited in size, regardless of the processes' reports. */
export function buildInstallationReport(facts: InstallationFacts): InstallationReport {
  const { now, checkedTime, release, instance, outcomes, capture, instances, clocks } = facts;
  const wrong = clocks.filter(({ ahead }) => Math.abs(ahead) > SKEW_MS);
  return {
    version: 1,
    time: formatTime(now),
    release: cut(release),
    instance: cut(instance),
    checkedTime: formatTime(checkedTime),
    checks: outcomes.map(({ name, verdict, text, remedy }) => ({
      name: cut(name),
      verdict,
      text: cut(text),
      ...(remedy === undefined ? {} : { remedy: cut(remedy) }),
    })),
    coverage: describeCoverage(capture),
    coreApiPods: instances === undefined ? null : listPods(instances),
    appliers: instances === undefined ? null : listAppliers(instances),
    wrongClocks: list(
      wrong.toSorted((one, other) => Math.abs(other.ahead) - Math.abs(one.ahead)),
      ({ process, ahead }) => ({ process: cut(process), aheadSeconds: Math.round(ahead / 1000) }),
    ),
    clocks: clocks.length,
  };
}

function describeCoverage(capture: CaptureFact): InstallationReport['coverage'] {
  if (capture.kind === 'disabled') return null;
  if (capture.kind === 'unknown') return { state: 'unknown', message: cut(capture.message) };
  return { state: capture.covered ? 'covered' : 'uncovered', message: cut(capture.message) };
}

/** Unhealthy ones first: a truncated list must not hide them. */
const ORDER = { uncovered: 0, starting: 1, covered: 2 };

function listPods({ coreApiPods }: Instances): InstallationReport['coreApiPods'] {
  const sorted = coreApiPods.toSorted(
    (one, other) => ORDER[one.state] - ORDER[other.state] || one.name.localeCompare(other.name),
  );
  return list(sorted, ({ name, state, message, release }) => ({
    name: cut(name),
    state,
    message: cut(message),
    ...(release === undefined ? {} : { release: cut(release) }),
  }));
}

function listAppliers({ appliers }: Instances): InstallationReport['appliers'] {
  const isWell = ({ applying, outage }: (typeof appliers)[number]) => applying && outage === null;
  const sorted = appliers.toSorted(
    (one, other) => Number(isWell(one)) - Number(isWell(other)) || one.instance.localeCompare(other.instance),
  );
  return list(sorted, ({ instance, applying, outage, release }) => ({
    instance: cut(instance),
    applying,
    outage: outage === null ? null : cut(outage),
    ...(release === undefined ? {} : { release: cut(release) }),
  }));
}

function list<T, U>(items: readonly T[], describe: (item: T) => U): { total: number; listed: U[] } {
  return { total: items.length, listed: items.slice(0, MOST_LISTED).map(describe) };
}

const cut = (text: string) => text.slice(0, MOST_CHARACTERS);
