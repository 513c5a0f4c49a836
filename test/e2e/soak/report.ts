import type { SoakResult } from './soak.ts';

const SHOWN_VIOLATIONS = 20;

/** Only numbers, for one line of JSON. */
export function summarize(result: SoakResult) {
  const { writes, lagSeconds, violations, gaps } = result;
  const { byRoute: _routes, ...outcomes } = writes;
  const percentile = (share: number) => {
    const seconds = lagSeconds[Math.min(lagSeconds.length - 1, Math.floor(lagSeconds.length * share))];
    return seconds === undefined ? null : Math.round(seconds * 100) / 100;
  };
  return {
    ...outcomes,
    edgeClientWrites: result.edgeClients.written,
    edgeClientWritesFound: result.edgeWrites,
    ...result.regional,
    faults: countFaults(result),
    identities: result.identities,
    edgeBorn: result.edgeBorn,
    eventsApplied: result.eventsApplied,
    loadSeconds: Math.round(result.loadSeconds),
    drainSeconds: Math.round(result.drainSeconds),
    lagSeconds: { p50: percentile(0.5), p90: percentile(0.9), max: percentile(1), samples: lagSeconds.length },
    canariesMissing: result.canariesMissing,
    gaps: gaps.length,
    violations: violations.length,
    excused: result.excused.length,
  };
}

function countFaults({ faults }: SoakResult): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of faults) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** The same for people, with the violations. */
export function describeResult(result: SoakResult): string {
  const { faults, lagSeconds, ...numbers } = summarize(result);
  const rows: [string, unknown][] = [
    ...Object.entries(numbers),
    ...Object.entries(lagSeconds).map(([name, value]): [string, unknown] => [`lag ${name}`, value]),
    ...Object.entries(faults),
    ...result.writes.byRoute,
  ];
  const lines = rows.map(([name, value]) => `  ${name.padEnd(44)} ${String(value ?? '-').padStart(9)}`);
  const occurrences = result.faults.map(({ name, from, until }) => {
    return `  ${new Date(from).toISOString()}  ${name}, ${((until - from) / 1000).toFixed(1)} s`;
  });
  const gaps = result.gaps.map((gap) => `  gap: ${JSON.stringify(gap)}`);
  const shown = result.violations.slice(0, SHOWN_VIOLATIONS);
  const violations = shown.map(({ kind, key, detail }) => `  ${kind}: ${key}: ${detail}`);
  const excused = result.excused.slice(0, SHOWN_VIOLATIONS).map(({ violation: { kind, key, detail }, gap, time }) => {
    return `  excused, changed ${new Date(time).toISOString()} in gap ${gap.reason}: ${kind}: ${key}: ${detail}`;
  });
  return [...lines, ...occurrences, ...gaps, ...excused, ...violations].join('\n');
}
