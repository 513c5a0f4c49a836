import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';

/**
 * What one kind of work does with the pages of a segment.
 *
 * `Start` is where a page begins, such as behind an identifier of Core's; null is the segment's beginning.
 */
export interface PageWork<Start, Page> {
  read(start: Start | null): Promise<Page>;
  /** Where the page after it begins; undefined behind the segment's last one. */
  nextOf(page: Page): Start | undefined;
  /** @returns where to go on when not all of the page could be done; undefined when it was */
  handle(page: Page, start: Start | null): Promise<Start | null | undefined>;
}

/** Works through one segment, page by page. The next page is read while one is handled. */
export async function workThroughSegment<Start, Page>(
  { read, nextOf, handle }: PageWork<Start, Page>,
  from: Start | null,
): Promise<void> {
  let ahead = beginReading(from);
  for (;;) {
    const { start } = ahead;
    const page = await ahead.reading;
    const next = nextOf(page);
    if (next !== undefined) ahead = beginReading(next);
    const rest = await handle(page, start);
    // What was read ahead is beyond the gap.
    if (rest !== undefined) ahead = beginReading(rest);
    else if (next === undefined) return;
  }

  function beginReading(start: Start | null) {
    const reading = read(start);
    // Nobody may be waiting when it fails; whoever awaits it later still sees the failure.
    reading.catch(() => {});
    return { start, reading };
  }
}

/** A segment of a range that is being worked on. */
export interface Place<Segment> {
  readonly segment: Segment;
  /** Its place among the range's segments. */
  readonly index: number;
  readonly environment: CoreEnvironment;
}

/** What one kind of work does with a range. */
export interface RangeWork<Segment, Start, Page> {
  readonly segments: readonly Segment[];
  /** Those that are there, by id. */
  readonly environments: ReadonlyMap<number, CoreEnvironment>;
  readonly logger: Logger;
  /** What it does in one segment. */
  at(place: Place<Segment>): PageWork<Start, Page>;
  /** All segments before this one are done, or there is nothing to do in them. */
  moveTo(segment: number): Promise<void>;
}

/** Where a range's work is taken up. */
export interface Resumption<Start> {
  readonly segment: number;
  readonly start: Start | null;
}

/** Works through a range, segment by segment, from where it was left. */
export async function workThrough<Segment extends { readonly environmentId: number }, Start, Page>(
  { segments, environments, logger, at, moveTo }: RangeWork<Segment, Start, Page>,
  from: Resumption<Start>,
): Promise<void> {
  for (let index = from.segment; index < segments.length; index++) {
    const segment = segments[index]!;
    const environment = environments.get(segment.environmentId);
    // Deleted since the ranges were planned, and its identities with it.
    if (environment === undefined) logger.warn({ environmentId: segment.environmentId }, 'environment is gone');
    else await workThroughSegment(at({ segment, index, environment }), index === from.segment ? from.start : null);
    await moveTo(index + 1);
  }
}
