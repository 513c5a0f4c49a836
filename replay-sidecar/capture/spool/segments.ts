import { newSegment, type SpoolSegment } from './segment.ts';

type Kind = SpoolSegment['kind'];

/** The segments that have or may have a file; at most one of each kind accepts records. */
export class Segments {
  /** Oldest first. */
  readonly all: SpoolSegment[] = [];
  private readonly open = new Map<Kind, SpoolSegment>();
  private nextNumber = 1;

  /** @param existing segments that earlier processes left in the directory, sealed, oldest first */
  adopt(existing: readonly SpoolSegment[]): void {
    this.all.push(...existing);
    this.nextNumber = (existing.at(-1)?.number ?? 0) + 1;
  }

  /** The one that accepts records. */
  find(kind: Kind): SpoolSegment | undefined {
    return this.open.get(kind);
  }

  listOpen(): SpoolSegment[] {
    return [...this.open.values()];
  }

  /** Begins one, which accepts records from now on. */
  begin(kind: Kind, now: number): SpoolSegment {
    const segment = newSegment({ number: this.nextNumber++, kind }, now);
    this.open.set(kind, segment);
    this.all.push(segment);
    return segment;
  }

  /** Seals the one that accepts records. @returns it, if there is one */
  seal(kind: Kind, now: number): SpoolSegment | undefined {
    const segment = this.open.get(kind);
    if (segment === undefined) return undefined;
    this.open.delete(kind);
    segment.sealedTime = now;
    return segment;
  }

  forget(segment: SpoolSegment): void {
    this.all.splice(this.all.indexOf(segment), 1);
  }
}
