import { type Checkpoint, NO_TOTALS, type Position, type Totals } from '../checkpoint.ts';
import { rememberPosition, type StartPosition } from './position.ts';

const FIRST: Position = { segment: 0, identity: null, totals: NO_TOTALS };

/** The beginning of a range. */
export const BEGINNING: StartPosition = { position: FIRST, after: null };

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** How far the work on a range is: where it can be resumed, and what was counted up to there, also by segment. */
export class RangePositions {
  private readonly segments: number;
  /** Newest first. */
  private positions: Position[];
  private knownBySegment: number[];

  /**
   * @param segments their number
   * @param saved the checkpoint of a previous process, if any
   * @param start the position in it to resume from; undefined for the range's beginning
   */
  constructor(
    segments: number,
    saved: Pick<Checkpoint, 'positions' | 'knownBySegment'> | undefined,
    start: Position | undefined,
  ) {
    this.segments = segments;
    const known = saved?.positions ?? [];
    // Newer ones could not be found again.
    this.positions = start === undefined ? [FIRST] : known.slice(known.indexOf(start));
    this.knownBySegment = start === undefined ? [] : (saved?.knownBySegment ?? []);
  }

  get totals(): Totals {
    return this.current.totals;
  }

  /** For the checkpoint. */
  list(): Pick<Checkpoint, 'positions' | 'knownBySegment'> {
    return { positions: this.positions, knownBySegment: this.knownBySegment };
  }

  /** A page is done, in the current segment. */
  advance(identity: Position['identity'], totals: Totals): void {
    this.positions = rememberPosition(this.positions, { segment: this.current.segment, identity, totals });
  }

  moveTo(segment: number): void {
    const { segment: former, totals } = this.current;
    if (this.knownBySegment.length === former) this.knownBySegment = [...this.knownBySegment, ...this.knownOfCurrent()];
    this.positions = [{ segment, identity: null, totals }];
  }

  restart(): void {
    this.positions = [FIRST];
    this.knownBySegment = [];
  }

  /** Identities read in these segments that existed when the range was planned. */
  knownOf(isCounted: (segment: number) => boolean): number {
    const all = Array.from({ length: this.segments }, (_, segment) => isCounted(segment));
    if (all.every(Boolean)) return this.totals.counts.known;
    return sum([...this.knownBySegment, ...this.knownOfCurrent()].filter((_, segment) => isCounted(segment)));
  }

  private get current(): Position {
    return this.positions[0] ?? FIRST;
  }

  /** The number for the current segment; empty if it is unknown, or all segments are done. */
  private knownOfCurrent(): number[] {
    const { segment, totals } = this.current;
    const isUnderWay = this.knownBySegment.length === segment && segment < this.segments;
    return isUnderWay ? [totals.counts.known - sum(this.knownBySegment)] : [];
  }
}
