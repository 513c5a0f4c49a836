import type {
  CopyStatus,
  PlannedWrites,
  PlanStatus,
  SkippedStatus,
  Status,
} from '@edge-migration/contract/edge-migration/api.ts';
import { addWriteUnits } from '../copy/write-units.ts';
import { formatTime } from './conditions.ts';
import type { CheckpointFact, CopyCounts, DecisionSettings, Facts, PlannedRange } from './facts.ts';

/** A pod that has not saved a page for this long does not count in the current rate. */
const RATE_VALID_MS = 15_000;

/** Progress changes the status at most this often; a running copy saves pages many times a second. */
export const PROGRESS_INTERVAL_MS = 2_000;

const COUNTS: readonly (keyof CopyCounts)[] = [
  'pages',
  'read',
  'inserted',
  'unchanged',
  'kept',
  'merged',
  'replaced',
  'skipped',
  'differing',
  'edgeBorn',
  'documentBytes',
  'writeUnits',
  'throttled',
];

/** Sum over all ranges. */
function sumCounts(checkpoints: readonly CheckpointFact[]): CopyCounts {
  const sum = Object.fromEntries(COUNTS.map((key) => [key, 0])) as Record<keyof CopyCounts, number>;
  for (const { counts } of checkpoints) for (const key of COUNTS) sum[key] += counts[key];
  return sum;
}

/** Exact number of identities when the ranges were planned. */
export const countPlanned = (ranges: readonly PlannedRange[]) =>
  ranges.reduce((total, { identities }) => total + identities, 0);

/** The part of `status.copy` that changes while pages are copied. */
export function measureProgress(facts: Facts, doneRanges: ReadonlySet<number>): CopyStatus {
  const { now, work } = facts;
  const ranges = work.ranges ?? [];
  const counts = sumCounts(work.checkpoints);
  const total = countPlanned(ranges);
  const rate = Math.round(
    work.checkpoints
      .filter(({ finished, updatedTime }) => !finished && now - updatedTime < RATE_VALID_MS)
      .reduce((sum, { identitiesPerSecond }) => sum + identitiesPerSecond, 0),
  );
  const left = Math.max(0, total - counts.read);
  return {
    progressTime: formatTime(now),
    identitiesTotal: total,
    identitiesRead: counts.read,
    identitiesCopied: counts.inserted + counts.merged + counts.replaced,
    identitiesUnchanged: counts.unchanged + counts.kept,
    identitiesConflicting: counts.differing,
    identitiesPerSecond: rate,
    ...(rate > 0 && left > 0 ? { estimatedCompletionTime: formatTime(now + (left / rate) * 1000) } : {}),
    documentBytes: counts.documentBytes,
    writeUnits: Math.ceil(counts.writeUnits),
    throttledRequests: counts.throttled,
    pages: counts.pages,
    rangesTotal: ranges.length,
    rangesDone: doneRanges.size,
  };
}

/** `status.skipped`: totals by reason, largest first. */
export function summariseSkipped(checkpoints: readonly CheckpointFact[], reportName: string): SkippedStatus {
  const byReason = new Map<string, number>();
  for (const { skippedByReason } of checkpoints) {
    for (const [reason, count] of Object.entries(skippedByReason)) {
      byReason.set(reason, (byReason.get(reason) ?? 0) + count);
    }
  }
  const total = [...byReason.values()].reduce((sum, count) => sum + count, 0);
  return {
    total,
    ...(total > 0 ? { reportName } : {}),
    byReason: [...byReason]
      .map(([reason, count]) => ({ reason, count }))
      .sort((a, b) => b.count - a.count || a.reason.localeCompare(b.reason)),
  };
}

/** `status.plan`: what a copy with the present spec would do. */
export function summarisePlan(facts: Facts): PlanStatus {
  const counts = sumCounts(facts.work.checkpoints);
  const { maxWriteUnitsPerSecond } = facts.migration.spec?.copy ?? { maxWriteUnitsPerSecond: 1 };
  const writeUnits = Math.ceil(counts.writeUnits);
  const writes = listWrites(facts);
  return {
    completionTime: formatTime(facts.now),
    identitiesTotal: counts.read,
    identitiesMigratable: counts.read - counts.skipped,
    existingEqual: counts.unchanged,
    existingDiffering: counts.kept,
    existingEdgeBorn: counts.edgeBorn,
    existingReplaced: counts.replaced,
    documentBytes: counts.documentBytes,
    writeUnits,
    durationSeconds: Math.ceil(writeUnits / maxWriteUnitsPerSecond),
    costUSD: priceOf(Math.max(writeUnits, sum(writes)), facts.settings),
    ...(writes.length > 0 ? { writes } : {}),
  };
}

const sum = (writes: readonly PlannedWrites[]) => writes.reduce((total, { writeUnits }) => total + writeUnits, 0);

/** Where a plan's writes are billed, the home region first. Transfer between regions is billed in addition. */
function listWrites({ work, settings }: Facts): PlannedWrites[] {
  const units = addWriteUnits(work.checkpoints.map(({ plannedUnits }) => plannedUnits));
  return Object.entries(units).map(([place, writeUnits]) => {
    const [region = '', table = '', index] = place.split('/');
    return { region, table, ...(index !== undefined && { index }), writeUnits, costUSD: priceOf(writeUnits, settings) };
  });
}

function priceOf(writeUnits: number, { pricePerMillionWriteUnits }: DecisionSettings): string {
  return ((writeUnits / 1_000_000) * pricePerMillionWriteUnits).toFixed(2);
}

/** Whether only constantly changing numbers would change, and did so a moment ago. */
export function isTooSoon(before: Status, now: number): boolean {
  const last = before.copy?.progressTime;
  return last !== undefined && isRecent(Date.parse(last), now, PROGRESS_INTERVAL_MS);
}

/** Another replica's clock may be ahead of ours: a time in the future is no reason to wait. */
export function isRecent(time: number, now: number, milliseconds: number): boolean {
  return time <= now && now - time < milliseconds;
}

/** The earlier of two optional times; undefined when both are. */
export const earliest = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
