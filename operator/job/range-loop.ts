import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';

/**
 * How one kind of work handles the pages of a segment.
 *
 * `Start` is where a page begins, such as behind one of Core's identifiers; null is the segment's beginning.
 */
export interface PageWork<Start, Page> {
  read(start: Start | null): Promise<Page>;
  /** Where the next page begins; undefined after the segment's last one. */
  nextOf(page: Page): Start | undefined;
  /** @returns where to continue if the page could not be finished; undefined if it was */
  handle(page: Page, start: Start | null): Promise<Start | null | undefined>;
}

/** Processes one segment, page by page. The next page is read while one is handled. */
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
    // The page that was read ahead is beyond the gap.
    if (rest !== undefined) ahead = beginReading(rest);
    else if (next === undefined) return;
  }

  function beginReading(start: Start | null) {
    const reading = read(start);
    // It may fail before it is awaited; a later await still throws the failure.
    reading.catch(() => {});
    return { start, reading };
  }
}

/** A segment of a range that is being processed. */
export interface SegmentPlace<Segment> {
  readonly segment: Segment;
  /** Its index among the range's segments. */
  readonly index: number;
  readonly environment: CoreEnvironment;
}

/** How one kind of work processes a range. */
export interface RangeWork<Segment, Start, Page> {
  readonly segments: readonly Segment[];
  /** The existing ones, by id. */
  readonly environments: ReadonlyMap<number, CoreEnvironment>;
  readonly logger: Logger;
  /** The work on one segment. */
  at(place: SegmentPlace<Segment>): PageWork<Start, Page>;
  /** Called when all segments before this one are done, or have nothing to do. */
  moveTo(segment: number): Promise<void>;
}

/** Where to resume a range. */
export interface Resumption<Start> {
  readonly segment: number;
  readonly start: Start | null;
}

/** Processes a range, segment by segment, from where it was left. */
export async function workThrough<Segment extends { readonly environmentId: number }, Start, Page>(
  { segments, environments, logger, at, moveTo }: RangeWork<Segment, Start, Page>,
  from: Resumption<Start>,
): Promise<void> {
  for (let index = from.segment; index < segments.length; index++) {
    const segment = segments[index]!;
    const environment = environments.get(segment.environmentId);
    // Deleted with its identities since the ranges were planned.
    if (environment === undefined) logger.warn({ environmentId: segment.environmentId }, 'environment is gone');
    else await workThroughSegment(at({ segment, index, environment }), index === from.segment ? from.start : null);
    await moveTo(index + 1);
  }
}
