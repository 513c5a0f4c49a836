import { conditionTrue, type DecidedCondition } from './conditions.ts';

/** How far a process's clock is from that of NATS. */
export interface ClockFact {
  /** For people: `applier edge-applier-1`. */
  process: string;
  /** Milliseconds; negative when it is behind. */
  ahead: number;
}

/** What is known of one clock. */
interface Estimate {
  /** Milliseconds. */
  readonly ahead: number;
  /** Confirmed by more than one report. */
  readonly isSure: boolean;
}

/** The clocks of the processes that report. */
export interface Clocks {
  /**
   * Notes what a report says of its author's clock.
   *
   * @param report distinguishes it from the author's other reports
   * @param ahead milliseconds, less the time for which the report was under way
   */
  notice(author: string, report: number, ahead: number): Estimate;
  /** Forgets all others. */
  keep(authors: ReadonlySet<string>): void;
}

/** A single report may have been under way for long, which looks like a clock that is behind. */
const SAMPLES = 3;

/** Remembers the last reports of each author: the one under way the shortest is the most exact. */
export function createClocks(): Clocks {
  const authors = new Map<string, { report: number; samples: readonly number[] }>();
  return {
    notice(author, report, ahead) {
      const { report: last, samples = [] } = authors.get(author) ?? {};
      const all = last === report ? samples : [...samples, ahead].slice(-SAMPLES);
      authors.set(author, { report, samples: all });
      return { ahead: Math.max(...all), isSure: all.length > 1 };
    },
    keep(wanted) {
      for (const author of authors.keys()) if (!wanted.has(author)) authors.delete(author);
    },
  };
}

/** Beyond this people are warned; the processes work correctly up to {@link TOLERATED_MS}. */
export const SKEW_MS = 5_000;
export const TOLERATED_MS = 600_000;
const MOST_NAMES = 3;

/** Says whose clock is wrong and what to do; undefined when all are right. */
export function describeSkew(clocks: readonly ClockFact[]): DecidedCondition<'True'> | undefined {
  const wrong = clocks
    .filter(({ ahead }) => Math.abs(ahead) > SKEW_MS)
    .toSorted((one, other) => toSeconds(other) - toSeconds(one) || one.process.localeCompare(other.process));
  const [worst] = wrong;
  if (worst === undefined) return undefined;
  const names = wrong.slice(0, MOST_NAMES).map(describe).join(', ');
  const others = wrong.length > MOST_NAMES ? `, and ${wrong.length - MOST_NAMES} more` : '';
  // One wrong clock is more likely than many that are wrong by the same amount.
  const isStore =
    wrong.length > 2 && wrong.length === clocks.length && wrong.every(({ ahead }) => ahead * worst.ahead > 0);
  const where = isStore ? 'the nodes of NATS, whose clock differs from all others' : 'their nodes';
  const isTolerated = wrong.every(({ ahead }) => Math.abs(ahead) <= TOLERATED_MS);
  const limit = isTolerated
    ? 'nothing is lost up to ten minutes'
    : 'beyond ten minutes writes near the deadline may be lost';
  return conditionTrue(
    'ClockSkew',
    `clocks differ from that of NATS, or of the API server: ${names}${others}; correct the time synchronisation of ${where} (${limit})`,
  );
}

function describe(clock: ClockFact): string {
  const seconds = toSeconds(clock);
  const rounded = seconds < 60 ? `${seconds} s` : `${seconds / 60} min`;
  return `${clock.process} is ${rounded} ${clock.ahead > 0 ? 'ahead' : 'behind'}`;
}

/** Rounded coarsely, the more so when there are many, so that the status does not change all the time. */
function toSeconds({ ahead }: ClockFact): number {
  const seconds = 5 * Math.round(Math.abs(ahead) / 5000);
  return seconds < 60 ? seconds : 60 * Math.round(seconds / 60);
}
