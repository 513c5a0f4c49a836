import { writeSketch } from '@edge-migration/contract/reports/sketch.ts';
import {
  type EnvironmentUsage,
  MOST_CLIENTS,
  OTHER_CLIENTS,
  type UsageReport,
} from '@edge-migration/contract/reports/usage.ts';
import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import {
  addMarks,
  type Cell,
  type Dated,
  type EnvironmentDay,
  EnvironmentDays,
  sizeOf,
  weightOf,
} from './environment-days.ts';

export type UsageKind = 'write' | 'read';

interface Told {
  readonly one: EnvironmentDay;
  readonly weight: number;
}

interface Described extends Dated {
  readonly usage: EnvironmentUsage;
}

/** The size that is added to a report, which is kept and read for every sidecar (stream.ts). */
export const PAGE_CHARACTERS = 2048;
/** The same for the last report, which is kept for as long, one for each pod that ended. */
export const UNTOLD_CHARACTERS = 2 * PAGE_CHARACTERS;

/** Counts which clients write and read identities, by environment and UTC day, and how much has been reported. */
export class Usage {
  private readonly clock: Pick<Clock, 'now'>;
  private readonly since: string;
  private readonly days = new EnvironmentDays();
  /** Where the next page begins. */
  private position = 0;
  /** The part on its way, with the requests that it reports. */
  private sent: Told[] = [];
  /** The present report: the operator may not have seen it yet when the next one replaces it. */
  private shown: Told[] = [];

  constructor(clock: Pick<Clock, 'now'>) {
    this.clock = clock;
    this.since = new Date(clock.now()).toISOString();
  }

  /**
   * A request that Core took. An environment that does not exist is never counted: Core refuses its key.
   *
   * @param marks of the names of the identities that it wrote (sketch.ts)
   */
  note(environment: EnvironmentReference, client: string, kind: UsageKind, marks: Iterable<number> = []): void {
    const now = this.clock.now();
    const day = this.days.environmentOf(environment, now);
    if (day === undefined) return;
    const cell = this.days.cellOf(day, client);
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
  }

  /** Further identities written by a request that was already noted. */
  name(environment: EnvironmentReference, marks: Iterable<number>): void {
    const day = this.days.environmentOf(environment, this.clock.now());
    if (day !== undefined) addMarks(day, marks);
  }

  /** As much as a report has room for; if that is not all, the next call continues after it. */
  page(): UsageReport {
    const all = this.days.list();
    if (this.position >= all.length) this.position = 0;
    const following = [...all.slice(this.position), ...all.slice(0, this.position)];
    const taken = fill(following, PAGE_CHARACTERS);
    this.position = all.length === 0 ? 0 : (this.position + taken.length) % all.length;
    return this.report(taken);
  }

  /** For the last report: everything counted since it was last reported, as far as there is room. */
  untold(): UsageReport {
    const left = this.days.list().filter(({ one }) => weightOf(one) > one.told);
    // The latest day first: an earlier one has been reported since it ended, unless that was a short while ago.
    return this.report(fill(left.toReversed(), UNTOLD_CHARACTERS));
  }

  /** The last {@link page} or {@link untold} has come through. It counts as reported once the next one has, too. */
  confirm(): void {
    for (const { one, weight } of this.shown) one.told = weight;
    this.shown = this.sent;
    this.sent = [];
  }

  private report(described: readonly Described[]): UsageReport {
    this.sent = described.map(({ one }) => ({ one, weight: weightOf(one) }));
    const byDate = Map.groupBy(described, ({ date }) => date);
    const days = [...byDate].map(([date, all]) => ({ date, environments: all.map(({ usage }) => usage) }));
    return { since: this.since, complete: this.days.isComplete, days };
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

/** The clients with the most requests, and the others as one. */
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
