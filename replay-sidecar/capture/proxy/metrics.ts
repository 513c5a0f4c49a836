import { type Metrics, metricsOf } from '@edge-migration/runtime/metrics.ts';
import type { Expendable } from './clients.ts';
import type { CaptureStage } from './hook.ts';

/**
 * How an exchange ended. `badGateway`: no connection to the API, or an answer that is not HTTP. `upstreamLost`: the API
 * broke off. `clientGone`: the client went away first.
 */
export type RequestOutcome =
  | 'passed'
  | 'captured'
  | 'upgraded'
  | 'badGateway'
  | 'upstreamLost'
  | 'clientGone'
  | 'stopped';

/** Plain numbers: the hot path adds, only a scrape reads. */
export interface Counters {
  readonly requests: Record<RequestOutcome, number>;
  /** By {@link FramingReason}. */
  readonly refused: Record<string, number>;
  /** Header fields of requests that were not passed on because of their names. */
  readonly droppedFields: Record<'aliased', number>;
  /** Client connections closed to make room, by their state; `refused`: new ones for which there was none. */
  readonly cutConnections: Record<Expendable | 'refused', number>;
  /** Requests sent again: the idle connection was already `stale`, or the API `refused` the connection. */
  readonly resends: Record<'stale' | 'refused', number>;
  readonly captureErrors: Record<CaptureStage, number>;
  readonly connections: Record<'opened', number>;
  readonly bodies: Record<'tooLarge', number>;
}

export interface ConnectionCounts {
  readonly clients: number;
  readonly upstreamBusy: number;
  readonly upstreamIdle: number;
}

const PREFIX = 'edge_migration_proxy_';

/** Registers the proxy's metrics; `connections` is called at each scrape. */
export function createCounters(metrics: Metrics, connections: () => ConnectionCounts): Counters {
  const counters: Counters = {
    requests: { passed: 0, captured: 0, upgraded: 0, badGateway: 0, upstreamLost: 0, clientGone: 0, stopped: 0 },
    refused: {},
    droppedFields: { aliased: 0 },
    cutConnections: { leaving: 0, asking: 0, idle: 0, slow: 0, refused: 0 },
    resends: { stale: 0, refused: 0 },
    captureErrors: { begin: 0, prepare: 0, intent: 0, finish: 0 },
    connections: { opened: 0 },
    bodies: { tooLarge: 0 },
  };
  const { labelledCounter, labelledGauge } = metricsOf(metrics, PREFIX);
  const expose = (name: string, help: string, label: string, values: Record<string, number>) =>
    labelledCounter(name, help, label, () => values);
  expose('requests', 'Requests forwarded to the Core API, by how they ended', 'outcome', counters.requests);
  expose('refused', 'Messages refused because two readers could take them differently', 'reason', counters.refused);
  expose('dropped_fields', 'Header fields of requests that were not passed on', 'reason', counters.droppedFields);
  expose('cut_connections', "Clients' connections closed to make room", 'state', counters.cutConnections);
  expose('resends', 'Requests sent again because the API cannot have seen them', 'reason', counters.resends);
  expose('capture_errors', 'Requests that passed although capturing them failed', 'stage', counters.captureErrors);
  expose('upstream_connections', 'Connections to the Core API', 'event', counters.connections);
  expose('captured_bodies', 'Bodies that could not be captured', 'reason', counters.bodies);
  labelledGauge('open_connections', 'Connections open now', 'side', () => {
    const { clients, upstreamBusy, upstreamIdle } = connections();
    return { client: clients, upstream_busy: upstreamBusy, upstream_idle: upstreamIdle };
  });
  return counters;
}
