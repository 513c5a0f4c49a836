import { addMark, emptySketch, type Sketch } from '@edge-migration/contract/reports/sketch.ts';
import { MOST_DAYS, OTHER_CLIENTS } from '@edge-migration/contract/reports/usage.ts';
import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import { nameOtherVersions } from './client-name.ts';

/** Requests of one client. */
export interface Cell {
  writes: number;
  reads: number;
}

/** The counts of one environment on one day. */
export interface EnvironmentDay extends Cell {
  readonly environment: EnvironmentReference;
  lastWrite: number | undefined;
  lastRead: number | undefined;
  readonly clients: Map<string, Cell>;
  /** By SDK: which of its versions are distinguished. */
  readonly versions: Map<string, Set<string>>;
  /** Sketch of the identities that were written; undefined while none was. */
  identities: Sketch | undefined;
  /** How many names went into the sketch. */
  named: number;
  /** How much of it has been reported, see {@link weightOf}. */
  told: number;
}

export interface Dated {
  readonly date: string;
  readonly one: EnvironmentDay;
}

/** Counted on one day; beyond this a report says that it is not complete. */
export const MOST_ENVIRONMENTS = 1000;
/** For one SDK in one environment; the others share one client. */
const MOST_VERSIONS = 8;
/** Clients of all environments and days together, of some hundred bytes each. */
export const MOST_CELLS = 8000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Requests of a client, or of all. */
export const sizeOf = ({ writes, reads }: Cell): number => writes + reads;
/** Grows with each request, and with names of a request that come later. */
export const weightOf = (day: EnvironmentDay): number => sizeOf(day) + day.named;

/** Environments and their clients by UTC day; bounded regardless of what clients send. */
export class EnvironmentDays {
  private readonly days = new Map<string, Map<string, EnvironmentDay>>();
  /** Day number and day of the last request: a date is not written for each. */
  private today: { readonly number: number; readonly environments: Map<string, EnvironmentDay> } | undefined;
  private cells = 0;
  private isAllCounted = true;

  /** Whether every environment has found room. */
  get isComplete(): boolean {
    return this.isAllCounted;
  }

  list(): Dated[] {
    return [...this.days].flatMap(([date, environments]) => [...environments.values()].map((one) => ({ date, one })));
  }

  /** Undefined where there is no room for another environment. */
  environmentOf(environment: EnvironmentReference, now: number): EnvironmentDay | undefined {
    const day = this.dayOf(now);
    const name = scopeName(environment);
    const known = day.get(name);
    if (known !== undefined) return known;
    if (day.size >= MOST_ENVIRONMENTS) {
      this.isAllCounted = false;
      return undefined;
    }
    const none = { writes: 0, reads: 0, lastWrite: undefined, lastRead: undefined, identities: undefined, named: 0 };
    // A copy: a substring in V8 keeps the whole string alive, here the head of the request.
    const own = structuredClone(environment);
    const added: EnvironmentDay = { environment: own, ...none, clients: new Map(), versions: new Map(), told: 0 };
    day.set(name, added);
    return added;
  }

  /** The client's own cell, or the shared one. */
  cellOf(day: EnvironmentDay, client: string): Cell {
    const { clients } = day;
    const known = clients.get(client);
    if (known !== undefined) return known;
    const others = nameOtherVersions(client);
    if (this.cells >= MOST_CELLS) return clients.get(others) ?? this.cellOrNew(day, OTHER_CLIENTS);
    if (others !== client) this.addVersion(day, others, client);
    return this.cellOrNew(day, client);
  }

  private dayOf(now: number): Map<string, EnvironmentDay> {
    const { days, today } = this;
    const number = Math.floor(now / DAY_MS);
    if (today?.number === number) return today.environments;
    const date = dateOf(now);
    const environments = days.get(date) ?? new Map<string, EnvironmentDay>();
    days.set(date, environments);
    this.today = { number, environments };
    // The earliest of the others: a clock may be set back.
    const others = [...days.keys()].filter((other) => other !== date).toSorted();
    for (const old of others.slice(0, Math.max(0, others.length + 1 - MOST_DAYS))) this.forget(old);
    return environments;
  }

  private forget(date: string): void {
    for (const { clients } of this.days.get(date)?.values() ?? []) this.cells -= clients.size;
    this.days.delete(date);
  }

  /**
   * Invented versions push out invented ones: a real client has more requests, versions of one SDK leave those of
   * another alone, and its name is reported in any case.
   */
  private addVersion(day: EnvironmentDay, sdk: string, client: string): void {
    const versions = day.versions.get(sdk) ?? new Set();
    day.versions.set(sdk, versions);
    if (versions.size >= MOST_VERSIONS) this.dropSmallest(day, sdk, versions);
    versions.add(client);
  }

  private cellOrNew({ clients }: EnvironmentDay, client: string): Cell {
    const known = clients.get(client);
    if (known !== undefined) return known;
    const cell = { writes: 0, reads: 0 };
    clients.set(client, cell);
    this.cells += 1;
    return cell;
  }

  private dropSmallest(day: EnvironmentDay, sdk: string, versions: Set<string>): void {
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
    this.cells -= 1;
    const rest = this.cellOrNew(day, sdk);
    rest.writes += cell.writes;
    rest.reads += cell.reads;
  }
}

/** Names of identities that were written. */
export function addMarks(day: EnvironmentDay, marks: Iterable<number>): void {
  day.identities ??= emptySketch();
  for (const mark of marks) {
    addMark(day.identities, mark);
    day.named += 1;
  }
}

const dateOf = (time: number) => new Date(time).toISOString().slice(0, 10);
