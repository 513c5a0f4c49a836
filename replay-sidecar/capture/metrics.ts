import { gapReason } from '@edge-migration/contract/reports/coverage.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type Metrics, metricsOf } from '@edge-migration/runtime/metrics.ts';
import type { CaptureCounts } from './capture.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Publisher } from './publisher/publisher.ts';
import type { Spool } from './spool/spool.ts';

export interface SidecarMetricSources {
  spool: Spool;
  publisher: Publisher;
  heartbeat: Heartbeat;
  counts: Readonly<CaptureCounts>;
  /** Survived errors, by origin. */
  faults: Readonly<Record<string, number>>;
  /** Log lines dropped because nothing consumed them. */
  droppedLines(): number;
  clock: Clock;
}

const PREFIX = 'edge_migration_sidecar_';

/** The sidecar's own metrics, read from its parts at each scrape; the proxy has its own. */
export function registerSidecarMetrics(metrics: Metrics, parts: SidecarMetricSources): void {
  registerSpoolMetrics(metrics, parts);
  registerPublisherMetrics(metrics, parts);
  registerCaptureMetrics(metrics, parts);
}

/** Number and age of what the spool has, and the gaps. */
export function registerSpoolMetrics(
  metrics: Metrics,
  { spool, clock }: Pick<SidecarMetricSources, 'spool' | 'clock'>,
): void {
  const { gauge, labelledGauge } = metricsOf(metrics, PREFIX);
  gauge('open_requests', 'Captured requests under way', () => spool.facts().open);
  gauge('spool_events', 'Events that the stream has not acknowledged', () => {
    const { depth, leftovers } = spool.facts();
    return leftovers === 'read' ? depth : undefined;
  });
  gauge('spool_bytes', 'Size of the spool on disk', () => spool.facts().bytes);
  gauge('oldest_unsent_seconds', 'Age of the oldest request whose events the stream has not acknowledged', () =>
    secondsSince(clock, spool.facts().oldestUnsentTime),
  );
  labelledGauge('gap_open', '1 while writes are missed, by reason', 'reason', () => {
    const open = spool.gaps.list().filter(({ until }) => until === null);
    return Object.fromEntries(
      gapReason.options.map((reason) => [reason, open.some((gap) => gap.reason === reason) ? 1 : 0]),
    );
  });
  gauge('gaps', 'Time ranges in which writes were missed, as reported', () => spool.gaps.list().length);
}

function registerPublisherMetrics(metrics: Metrics, { publisher, heartbeat, clock }: SidecarMetricSources): void {
  const { gauge, counter, labelledCounter } = metricsOf(metrics, PREFIX);
  gauge('connected', '1 while connected to NATS', () => (publisher.connected ? 1 : 0));
  gauge('last_proof_seconds', 'Age of the last test event that came back; -1 before the first', () =>
    heartbeat.probe === null ? -1 : secondsSince(clock, Date.parse(heartbeat.probe.time)),
  );
  counter('published_events', 'Events that the stream acknowledged', () => publisher.counts.published);
  labelledCounter(
    'failed_publishes',
    'Publishes that failed; all are repeated',
    'reason',
    () => publisher.counts.failed,
  );
  counter('rewinds', 'Times the whole spool was published again', () => publisher.counts.rewinds);
}

function registerCaptureMetrics(metrics: Metrics, { counts, faults, droppedLines }: SidecarMetricSources): void {
  const { counter, labelledCounter } = metricsOf(metrics, PREFIX);
  counter('dropped_log_lines', 'Lines of the log that were dropped because nothing took them', droppedLines);
  counter('planned_requests', 'Requests that may have changed identities', () => counts.planned);
  counter('unknown_routes', 'Writes near identities that the route table does not know', () => counts.unknownRoutes);
  counter('lookups', 'Questions to the API about what a request is going to remove', () => counts.lookups);
  counter('failed_lookups', 'Such questions without an answer; their events are wider', () => counts.failedLookups);
  counter('uncovered_requests', 'Writes that no event covers; each is in a gap', () => counts.uncovered);
  labelledCounter('faults', 'Errors that were survived', 'part', () => faults);
}

function secondsSince(clock: Clock, time: number | undefined): number {
  return time === undefined ? 0 : (clock.now() - time) / 1000;
}
