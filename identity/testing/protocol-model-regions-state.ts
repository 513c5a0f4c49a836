/** Core, a table in two regions and the work in progress, as protocol-model-regions.ts explores them. */

import type { Failover } from './protocol-model-regions-failover.ts';

export interface Core {
  readonly id: number;
  readonly trait: number;
}

/** `djangoId` null: created on Edge; `own`: a trait that only Edge clients set. */
export interface Document {
  readonly djangoId: number | null;
  readonly trait: number;
  readonly own: number;
}

/** A document, or its absence, and the time of that write. */
export interface Version {
  readonly document: Document | null;
  readonly time: number;
}

export type Region = 'home' | 'away';

interface Replica extends Version {
  readonly to: Region;
  /** Marks a client's write on which we have not written elsewhere. */
  readonly isClients: boolean;
}

/** `listing`: of an environment that was deleted in Core; yields the document's own event, if the document is found. */
export type Event = 'trait' | 'existence' | 'listing';

/** Checks again when replicas up to these times have arrived: first there, then here; `at` is where it was handled. */
export interface Recheck {
  readonly what: Exclude<Event, 'listing'> | 'copy';
  readonly at: Region;
  readonly to: Region | 'none';
  readonly until: number;
}

export interface State {
  readonly core: Core | null;
  readonly nextId: number;
  readonly home: Version;
  readonly away: Version;
  readonly replicas: readonly Replica[];
  readonly writes: string;
  readonly events: readonly Event[];
  readonly rechecks: readonly Recheck[];
  readonly held: readonly Event[];
  readonly copy: 'read' | 'recheck' | 'done' | { readonly page: Core };
  /** We wrote before a client's write had reached us: that may be lost, as documented. */
  readonly isExposed: boolean;
  readonly failover: Failover;
}

/** Values that Edge clients set their own trait to. */
export const CLIENT = 7;

export const otherThan = (region: Region): Region => (region === 'home' ? 'away' : 'home');

export const wholeOf = ({ id, trait }: Core): Document => ({ djangoId: id, trait, own: 0 });

/** The document required by rule 1. */
export function converged(document: Document | null, core: Core | null, event: Event | 'copy'): Document | null {
  // Every deletion in Core has an event.
  if (core === null) return event === 'copy' || document?.djangoId === null ? document : null;
  if (document === null || (document.djangoId !== null && document.djangoId !== core.id)) return wholeOf(core);
  const isLacking = event === 'copy' && document.djangoId === null && document.trait === 0;
  return event === 'trait' || isLacking ? { ...document, trait: core.trait } : document;
}

/** A client's write in one region. */
export const storeClients = (state: State, region: Region, document: Document): State =>
  store(state, region, document, true);

/** Our write in one region. */
export function storeOurs(state: State, region: Region, document: Document | null): State {
  const isOvertaken = ({ to, time, isClients }: Replica) => isClients && to === region && time > state[region].time;
  const isExposed = state.isExposed || state.replicas.some(isOvertaken);
  const stored = store({ ...state, isExposed }, region, document, false);
  if (region === 'home' || state.failover.at === 'home') return stored;
  const { hasWritten, looks } = stored.failover;
  const isAwaited = !hasWritten || looks === null;
  // Writes elsewhere that we have built upon come home with ours, if we wait for that: later ones are in the usual window.
  const replicas = stored.replicas.map((replica) =>
    replica.to === 'home' && isAwaited ? { ...replica, isClients: false } : replica,
  );
  return { ...stored, replicas, failover: { ...stored.failover, hasWritten: true } };
}

/** As the region's latest write and the latest of all. */
function store(state: State, region: Region, document: Document | null, isClients: boolean): State {
  const time = 1 + Math.max(state.home.time, state.away.time, ...state.replicas.map((replica) => replica.time));
  const replica = { to: otherThan(region), document, time, isClients };
  return { ...state, [region]: { document, time }, replicas: [...state.replicas, replica] };
}

export const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

export const byText = (one: unknown, other: unknown): number => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
