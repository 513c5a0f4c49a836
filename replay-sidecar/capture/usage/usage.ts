import { addMark, emptySketch, type Sketch, writeSketch } from '@edge-migration/contract/reports/sketch.ts';
import {
  type EnvironmentUsage,
  MOST_CLIENTS,
  MOST_DAYS,
  OTHER_CLIENTS,
  type UsageReport,
} from '@edge-migration/contract/reports/usage.ts';
import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { nameOtherVersions } from './client-name.ts';

export type UsageKind = 'write' | 'read';

/** Counts which clients write and read identities, by environment and UTC day; bounded whatever clients send. */
export interface Usage {
  /**
   * A request that Core took. An environment that does not exist is never counted: Core refuses its key.
   *
   * @param marks of the names of the identities that it wrote (sketch.ts)
   */
  note(environment: EnvironmentReference, client: string, kind: UsageKind, marks?: Iterable<number>): void;
  /** More identities that a request wrote which was noted already. */
  name(environment: EnvironmentReference, marks: Iterable<number>): void;
  /** As much as a report has room for; where that is not all, the next call goes on behind it. */
  page(): UsageReport;
  /** For the last report: all that was counted since it was told last, as far as there is room. */
  untold(): UsageReport;
  /** What the last call of {@link page} or {@link untold} returned has come through. It is told once the next one has, too. */
  confirm(): void;
}

interface Cell {
  writes: number;
  reads: number;
}

interface EnvironmentDay extends Cell {
  readonly environment: EnvironmentReference;
  lastWrite: number | undefined;
  lastRead: number | undefined;
  readonly clients: Map<string, Cell>;
  /** By SDK: which of its versions are told apart. */
  readonly versions: Map<string, Set<string>>;
  /** Of the identities that were written; undefined while none was. */
  identities: Sketch | undefined;
  /** How many names went into the sketch. */
  named: number;
  /** How much of it reports have told of, see {@link weightOf}. */
  told: number;
}

interface Dated {
  readonly date: string;
  readonly one: EnvironmentDay;
}

interface Told {
  readonly one: EnvironmentDay;
  readonly weight: number;
}

interface Described extends Dated {
  readonly usage: EnvironmentUsage;
}

/** Counted on one day; beyond them a report says that it is not complete. */
export const MOST_ENVIRONMENTS = 1000;
/** Of one SDK in one environment; the others are one client. */
const MOST_VERSIONS = 8;
/** Clients of all environments and days together, of some hundred bytes each. */
export const MOST_CELLS = 8000;
/** What is added to a report, which is kept and read for every sidecar (stream.ts). */
export const PAGE_CHARACTERS = 2048;
/** The same of the last report, which is kept for as long, and of which there is one for each pod that ended. */
export const UNTOLD_CHARACTERS = 2 * PAGE_CHARACTERS;
const DAY_MS = 24 * 60 * 60 * 1000;

const sizeOf = ({ writes, reads }: Cell) => writes + reads;
/** Grows with each request, and with names of a request that come later. */
const weightOf = (day: EnvironmentDay) => sizeOf(day) + day.named;

export function createUsage(clock: Pick<Clock, 'now'>): Usage {
  const since = new Date(clock.now()).toISOString();
  const days = new Map<string, Map<string, EnvironmentDay>>();
  /** Day number and day of the last request: a date is not written for each. */
  let today: { number: number; environments: Map<string, EnvironmentDay> } | undefined;
  let cells = 0;
  let isComplete = true;
  /** Where the next page begins. */
  let position = 0;
  /** What is on its way, with the requests that it tells of. */
  let sent: Told[] = [];
  /** The report that is there now: the operator may not have seen it yet when the next one takes its place. */
  let shown: Told[] = [];

  function dayOf(now: number): Map<string, EnvironmentDay> {
    const number = Math.floor(now / DAY_MS);
    if (today?.number === number) return today.environments;
    const date = dateOf(now);
    const environments = days.get(date) ?? new Map<string, EnvironmentDay>();
    days.set(date, environments);
    today = { number, environments };
    // The earliest of the others: a clock may be put back.
    const others = [...days.keys()].filter((other) => other !== date).toSorted();
    for (const old of others.slice(0, Math.max(0, others.length + 1 - MOST_DAYS))) forget(old);
    return environments;
  }

  function forget(date: string): void {
    for (const { clients } of days.get(date)?.values() ?? []) cells -= clients.size;
    days.delete(date);
  }

  function environmentOf(environment: EnvironmentReference, now: number): EnvironmentDay | undefined {
    const day = dayOf(now);
    const name = scopeName(environment);
    const known = day.get(name);
    if (known !== undefined) return known;
    if (day.size >= MOST_ENVIRONMENTS) {
      isComplete = false;
      return undefined;
    }
    const none = { writes: 0, reads: 0, lastWrite: undefined, lastRead: undefined, identities: undefined, named: 0 };
    // A copy: V8's parts of a text keep the whole of it, here the head of the request.
    const own = structuredClone(environment);
    const added: EnvironmentDay = { environment: own, ...none, clients: new Map(), versions: new Map(), told: 0 };
    day.set(name, added);
    return added;
  }

  /** The client's own cell, or the one for those that have none. */
  function cellOf(day: EnvironmentDay, client: string): Cell {
    const { clients } = day;
    const known = clients.get(client);
    if (known !== undefined) return known;
    const others = nameOtherVersions(client);
    if (cells >= MOST_CELLS) return clients.get(others) ?? cellOrNew(day, OTHER_CLIENTS);
    if (others !== client) addVersion(day, others, client);
    return cellOrNew(day, client);
  }

  /**
   * Invented versions push out invented ones: a client that is really there has more requests, versions of one SDK leave
   * those of another alone, and its name is told in any case.
   */
  function addVersion(day: EnvironmentDay, sdk: string, client: string): void {
    const versions = day.versions.get(sdk) ?? new Set();
    day.versions.set(sdk, versions);
    if (versions.size >= MOST_VERSIONS) dropSmallest(day, sdk, versions);
    versions.add(client);
  }

  function cellOrNew({ clients }: EnvironmentDay, client: string): Cell {
    const known = clients.get(client);
    if (known !== undefined) return known;
    const cell = { writes: 0, reads: 0 };
    clients.set(client, cell);
    cells += 1;
    return cell;
  }

  function dropSmallest(day: EnvironmentDay, sdk: string, versions: Set<string>): void {
    let smallest: { client: string; cell: Cell } | undefined;
    for (const client of versions) {
      const cell = day.clients.get(client);
      if (cell !== undefined && (smallest === undefined || sizeOf(cell) < sizeOf(smallest.cell)))
        smallest = { client, cell };
    }
    if (smallest === undefined) return;
    const { client, cell } = smallest;
    versions.delete(client);
    day.clients.delete(client);
    cells -= 1;
    const rest = cellOrNew(day, sdk);
    rest.writes += cell.writes;
    rest.reads += cell.reads;
  }

  const listAll = (): Dated[] =>
    [...days].flatMap(([date, environments]) => [...environments.values()].map((one) => ({ date, one })));

  function report(described: readonly Described[]): UsageReport {
    sent = described.map(({ one }) => ({ one, weight: weightOf(one) }));
    const byDate = Map.groupBy(described, ({ date }) => date);
    const listed = [...byDate].map(([date, all]) => ({ date, environments: all.map(({ usage }) => usage) }));
    return { since, complete: isComplete, days: listed };
  }

  return {
    note(environment, client, kind, marks = []) {
      const now = clock.now();
      const day = environmentOf(environment, now);
      if (day === undefined) return;
      const cell = cellOf(day, client);
      if (kind === 'write') {
        day.writes += 1;
        cell.writes += 1;
        day.lastWrite = now;
        addMarks(day, marks);
      } else {
        day.reads += 1;
        cell.reads += 1;
        day.lastRead = now;
      }
    },
    name(environment, marks) {
      const day = environmentOf(environment, clock.now());
      if (day !== undefined) addMarks(day, marks);
    },
    page() {
      const all = listAll();
      if (position >= all.length) position = 0;
      const following = [...all.slice(position), ...all.slice(0, position)];
      const taken = fill(following, PAGE_CHARACTERS);
      position = all.length === 0 ? 0 : (position + taken.length) % all.length;
      return report(taken);
    },
    untold() {
      const left = listAll().filter(({ one }) => weightOf(one) > one.told);
      // Of the latest day first: an earlier one has been told since it ended, unless that was a short while ago.
      return report(fill(left.toReversed(), UNTOLD_CHARACTERS));
    },
    confirm() {
      for (const { one, weight } of shown) one.told = weight;
      shown = sent;
      sent = [];
    },
  };
}

function addMarks(day: EnvironmentDay, marks: Iterable<number>): void {
  day.identities ??= emptySketch();
  for (const mark of marks) {
    addMark(day.identities, mark);
    day.named += 1;
  }
}

/** The first ones that have room. One that is larger has it to itself. */
function fill(all: readonly Dated[], characters: number): Described[] {
  const taken: Described[] = [];
  let room = characters;
  for (const { date, one } of all) {
    const usage = describe(one);
    room -= JSON.stringify(usage).length;
    if (room < 0 && taken.length > 0) break;
    taken.push({ date, one, usage });
  }
  return taken;
}

/** The clients with the most requests, and the rest in one. */
function describe(day: EnvironmentDay): EnvironmentUsage {
  const { environment, writes, reads, lastWrite, lastRead, clients, identities, named } = day;
  const listed = [...clients].filter(([name]) => name !== OTHER_CLIENTS);
  const sorted = listed.toSorted(([, one], [, other]) => sizeOf(other) - sizeOf(one));
  const rest = sorted.slice(MOST_CLIENTS).map(([, cell]) => cell);
  const others = [...rest, clients.get(OTHER_CLIENTS) ?? { writes: 0, reads: 0 }];
  const other = others.reduce((sum, cell) => ({ writes: sum.writes + cell.writes, reads: sum.reads + cell.reads }));
  const all: [string, Cell][] = [...sorted.slice(0, MOST_CLIENTS), [OTHER_CLIENTS, other]];
  return {
    environment,
    writes,
    reads,
    lastWrite: timeOf(lastWrite),
    lastRead: timeOf(lastRead),
    ...(identities === undefined ? {} : { identities: writeSketch(identities), named }),
    clients: all.filter(([, cell]) => sizeOf(cell) > 0).map(([name, cell]) => [name, cell.writes, cell.reads]),
  };
}

const timeOf = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());
const dateOf = (time: number) => new Date(time).toISOString().slice(0, 10);
