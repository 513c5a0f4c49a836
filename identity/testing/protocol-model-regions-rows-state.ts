/** Core, a document and its override rows in two regions, as protocol-model-regions-rows.ts explores them. */

export interface Core {
  readonly id: number;
  /** 0: none, though it had one. */
  readonly override: number;
}

/** `ours`: what an insert of the product makes, always the same; `theirs`: of an Edge client that created a document. */
export type Uuid = 'ours' | 'theirs';

/** `djangoId` null: created on Edge. */
export interface Document {
  readonly djangoId: number | null;
  readonly uuid: Uuid;
  readonly override: number;
}

/** An item, or its absence, and the time of that write. */
interface Version<T> {
  readonly value: T;
  readonly time: number;
}

/** What one region has: the document, and the row of its override under either uuid; 0: none. */
export interface Items {
  readonly document: Version<Document | null>;
  readonly ours: Version<number>;
  readonly theirs: Version<number>;
}

export type Region = 'home' | 'away';

/** One item on its way: those that were written together arrive one by one. */
interface Replica extends Version<Document | null | number> {
  readonly to: Region;
  readonly item: keyof Items;
  /** Marks a document that an Edge client wrote. */
  readonly isClients: boolean;
}

/** `all`: everything of the identity may have changed; `copy`: a check of what the copy inserted. */
export type What = 'all' | 'override' | 'copy';

/** Checks again when replicas up to these times have arrived: first there, then here. */
export interface Look {
  readonly what: What;
  readonly at: Region;
  readonly to: Region | 'none';
  readonly until: number;
}

export interface State {
  readonly core: Core | null;
  readonly nextId: number;
  readonly home: Items;
  readonly away: Items;
  readonly replicas: readonly Replica[];
  readonly writes: string;
  readonly events: readonly Exclude<What, 'copy'>[];
  readonly looks: readonly Look[];
  /** An Edge client has stored its override in a document, and not its row yet. */
  readonly clientRow: Uuid | null;
  /** We wrote before a client's write had reached us: that may be lost, and its row may stay, as documented. */
  readonly isExposed: boolean;
}

/** The value of overrides that Edge clients set. */
export const CLIENT = 9;

export const otherThan = (region: Region): Region => (region === 'home' ? 'away' : 'home');

/** One write: each item of it, `undefined` for those that stay. Deleting what is not there leaves no trace. */
export interface Change {
  readonly document?: Document | null;
  readonly ours?: number;
  readonly theirs?: number;
}

const ITEMS = ['document', 'ours', 'theirs'] as const;

/** Written together in one region, as its latest write and the latest of all. */
export function store(state: State, region: Region, change: Change, isClients: boolean): State {
  const time =
    1 +
    Math.max(
      ...[state.home, state.away].flatMap((items) => ITEMS.map((item) => items[item].time)),
      ...state.replicas.map((replica) => replica.time),
    );
  const written = ITEMS.filter((item) => change[item] !== undefined).map((item) => ({
    ...{ to: otherThan(region), item, value: change[item]!, time },
    isClients: isClients && item === 'document',
  }));
  const items = { ...state[region], ...Object.fromEntries(written.map(({ item, value }) => [item, { value, time }])) };
  return { ...state, [region]: items, replicas: [...state.replicas, ...written] };
}

/** The latest write of each item wins, whenever it arrives. */
export function arrive(state: State): State[] {
  return state.replicas.map(({ to, item, value, time }, index) => {
    const replicas = state.replicas.toSpliced(index, 1);
    return time > state[to][item].time
      ? { ...state, replicas, [to]: { ...state[to], [item]: { value, time } } }
      : { ...state, replicas };
  });
}

export const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

const byText = (one: unknown, other: unknown): number => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);

/** Only the order of times matters. */
export function normalize(state: State): State {
  const { home, away, replicas, looks } = state;
  const times = [home, away].flatMap((items) => ITEMS.map((item) => items[item].time));
  const all = [...new Set([...times, ...replicas.map(({ time }) => time)])].toSorted((one, other) => one - other);
  const rank = <T extends { readonly time: number }>(item: T): T => ({ ...item, time: all.indexOf(item.time) });
  const rankItems = ({ document, ours, theirs }: Items): Items => ({
    ...{ document: rank(document), ours: rank(ours), theirs: rank(theirs) },
  });
  // Replicas up to then, and no later one.
  const lower = (look: Look): Look => ({
    ...look,
    until: look.until < 0 ? -1 : all.filter((time) => time <= look.until).length - 1,
  });
  return {
    ...state,
    home: rankItems(home),
    away: rankItems(away),
    replicas: replicas.map(rank).toSorted(byText),
    looks: looks.map((look) => (look.to === 'none' ? look : lower(look))).toSorted(byText),
  };
}
