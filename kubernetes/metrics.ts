import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * All metrics of this runtime. Names and labels are those of controller-runtime and client-go if they have an
 * equivalent, so that existing dashboards and alerts work.
 */
function createMetrics(registry: Registry) {
  const registers = [registry];
  const onScrape = new Set<() => void>();
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Histogram({ name, help, labelNames, buckets: SECONDS, registers });
  // The registry reads its metrics in order of registration: the first one updates all computed ones.
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by status code',
    labelNames: ['code', 'method', 'host'],
    registers,
    collect: () => {
      for (const update of onScrape) update();
    },
  });
  return {
    /** Called before each scrape: sets the computed gauges (ages, durations of work in progress). */
    onScrape,
    requests,
    requestSeconds: histogram('rest_client_request_duration_seconds', 'Seconds a request took', ['verb', 'host']),

    queueDepth: gauge('workqueue_depth', 'Keys waiting', ['name']),
    queueAdds: counter('workqueue_adds_total', 'Keys added', ['name']),
    queueRetries: counter('workqueue_retries_total', 'Keys added again after a failure', ['name']),
    queueSeconds: histogram('workqueue_queue_duration_seconds', 'Seconds a key waited', ['name']),
    workSeconds: histogram('workqueue_work_duration_seconds', 'Seconds a key was worked on', ['name']),
    unfinishedSeconds: gauge('workqueue_unfinished_work_seconds', 'Seconds of work in progress, summed', ['name']),
    longestSeconds: gauge('workqueue_longest_running_processor_seconds', 'Seconds of the oldest work in progress', [
      'name',
    ]),

    reconciles: counter('controller_runtime_reconcile_total', 'Reconciles by result', ['controller', 'result']),
    reconcileErrors: counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed', ['controller']),
    terminalErrors: counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Reconciles that failed and are not repeated',
      ['controller'],
    ),
    reconcilePanics: counter(
      'controller_runtime_reconcile_panics_total',
      'Reconciles that failed by a programming error',
      ['controller'],
    ),
    reconcileSeconds: histogram('controller_runtime_reconcile_time_seconds', 'Seconds a reconcile took', [
      'controller',
    ]),
    activeWorkers: gauge('controller_runtime_active_workers', 'Workers busy now', ['controller']),
    maxWorkers: gauge('controller_runtime_max_concurrent_reconciles', 'Workers at most', ['controller']),

    leader: gauge('leader_election_master_status', '1 while this process leads', ['name']),

    lists: counter('reflector_lists_total', 'Complete lists by outcome', ['resource', 'result']),
    watches: counter('reflector_watches_total', 'Watches by how they ended', ['resource', 'end']),
    watchEvents: counter('reflector_watch_events_total', 'Frames of watches by type', ['resource', 'type']),
    parseFailures: counter('reflector_parse_failures_total', 'Objects that could not be read', ['resource']),
    cachedObjects: gauge('reflector_objects', 'Objects in the cache', ['resource']),
    cacheAge: gauge('reflector_last_confirmed_age_seconds', 'Seconds since the API server was last heard', [
      'resource',
    ]),

    events: counter('event_recorder_events_total', 'Kubernetes events by result', ['result']),
  };
}

export type RuntimeMetrics = ReturnType<typeof createMetrics>;

const byRegistry = new WeakMap<Registry, RuntimeMetrics>();

/** The runtime's metrics in this registry, registered upon first use; without a registry they are not exported. */
export function runtimeMetrics(registry: Registry = new Registry()): RuntimeMetrics {
  const known = byRegistry.get(registry);
  if (known !== undefined) return known;
  const metrics = createMetrics(registry);
  byRegistry.set(registry, metrics);
  return metrics;
}
