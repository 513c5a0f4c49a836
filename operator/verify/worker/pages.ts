import type { Stores } from '@edge-migration/identity/converge.ts';
import { CoreTimeoutError } from '@edge-migration/identity/core/errors.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import type { IdentityPage, PageRequest } from '@edge-migration/identity/core/pages.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { VerifySegment } from '../ranges.ts';
import type { VerifySettings } from '../settings.ts';
import type { Comparer } from './comparer.ts';
import type { Comparison } from './comparison.ts';
import { createParts, PART } from './parts.ts';
import type { RegionTables } from './region-comparer.ts';

/** Where a page begins: behind one of Core's identifiers or Edge's keys; null at the segment's start. */
export type PageStart = string | Item | null;

/** Receives the results, part by part. */
type TakeComparisons = (part: readonly Comparison[]) => void;

/** A page read from one side, with its comparison, and where the next one begins; undefined after the last. */
export interface ComparedPage {
  /** Passes on each part once, as soon as it is compared: the objects of a whole page cost more to collect. */
  readonly compare: (take: TakeComparisons) => Promise<void>;
  /** Number of rows of `environments_v2` in it. */
  readonly rows: number;
  readonly next: Exclude<PageStart, null> | undefined;
}

export interface VerifyPageReaderOptions {
  readonly stores: Stores;
  readonly regions: readonly RegionTables[];
  readonly comparer: Comparer;
  readonly settings: () => VerifySettings;
  /** Repeats work after temporary failures. */
  readonly retrying: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Reads a segment's pages from its own side. */
export function createVerifyPageReader({ stores, regions, comparer, settings, retrying }: VerifyPageReaderOptions) {
  const { core, edge: home } = stores;
  const byRegion = new Map(regions.map(({ region, edge }) => [region, edge]));
  const edgeOf = ({ region }: VerifySegment) => (region === undefined ? home : byRegion.get(region)) ?? home;
  const inParts = createParts(PART);
  const inLargeParts = createParts(Number.POSITIVE_INFINITY);
  let limit = FIRST_PAGE;
  /** Number of pages to read before a larger one is tried. */
  let steady = 0;

  /** Sets the next page's number of identities: as many as last time's size limit allowed, or more again. */
  function adaptLimit({ identities, isLast }: IdentityPage): void {
    const isCut = identities.length < limit && !isLast;
    if (isCut) limit = Math.max(identities.length, 1);
    else if (steady > 0) steady--;
    else limit *= 2;
  }

  /** A page that Core cannot read in time is not retried unchanged: a smaller one may succeed. */
  async function readInTime(request: Omit<PageRequest, 'limit'>, signal: AbortSignal): Promise<IdentityPage> {
    limit = Math.min(limit, settings().pageSize);
    try {
      return await core.identities.page({ ...request, limit }, signal);
    } catch (error) {
      if (error instanceof CoreTimeoutError) {
        limit = Math.max(1, limit >> 1);
        steady = STEADY_PAGES;
      }
      throw error;
    }
  }

  async function readCore(
    environment: CoreEnvironment,
    segment: VerifySegment,
    start: PageStart,
    signal: AbortSignal,
  ): Promise<ComparedPage> {
    const after = typeof start === 'string' ? start : segment.after;
    const request = { environment, order: segment.order, after, until: segment.until };
    const page = await retrying(() => readInTime(request, signal));
    adaptLimit(page);
    const { identities, last, isLast } = page;
    return {
      compare: (take) =>
        inFlight(identities, (some) =>
          inParts(some, async (part) => {
            take(await retrying(() => comparer.compareIdentities(environment, part, signal)));
          }),
        ),
      rows: 0,
      next: isLast ? undefined : (last ?? undefined),
    };
  }

  async function readDocuments(
    environment: CoreEnvironment,
    segment: VerifySegment,
    start: PageStart,
    signal: AbortSignal,
  ): Promise<ComparedPage> {
    const { after, until, region } = segment;
    const stretch = { apiKey: environment.apiKey, after, until, from: asKey(start), limit: settings().pageSize };
    const { entries, next } = await retrying(() => edgeOf(segment).identities.listKeys(stretch, { signal }));
    return {
      compare: (take) =>
        inLargeParts(entries, async (part) => {
          take(
            await retrying(() =>
              region === undefined
                ? comparer.compareDocuments(environment, part, signal)
                : comparer.compareRegionDocuments(environment, part, region, signal),
            ),
          );
        }),
      rows: 0,
      next,
    };
  }

  async function readRows(
    environment: CoreEnvironment,
    segment: VerifySegment,
    start: PageStart,
    signal: AbortSignal,
  ): Promise<ComparedPage> {
    const { region } = segment;
    const { overrideRows } = edgeOf(segment);
    if (overrideRows === undefined) return { compare: async () => {}, rows: 0, next: undefined };
    const request = { environmentId: environment.id, from: asKey(start), limit: settings().pageSize };
    const { entries, next } = await retrying(() => overrideRows.listRows(request, { signal }));
    return {
      compare: (take) =>
        inLargeParts(entries, async (part) => {
          take(
            await retrying(() =>
              region === undefined
                ? comparer.compareRows(environment, part, signal)
                : comparer.compareRegionRows(environment, part, region, signal),
            ),
          );
        }),
      rows: region === undefined ? entries.length : 0,
      next,
    };
  }

  const readers = { core: readCore, documents: readDocuments, rows: readRows };
  return (
    environment: CoreEnvironment,
    segment: VerifySegment,
    start: PageStart,
    signal: AbortSignal,
  ): Promise<ComparedPage> => readers[segment.kind](environment, segment, start, signal);
}

const asKey = (start: PageStart): Item | undefined => (start === null || typeof start === 'string' ? undefined : start);

/** The first page is small, because the size of the rows is still unknown. */
const FIRST_PAGE = 100;
/** A failed attempt at a larger page costs as much time as Core allows for one statement. */
const STEADY_PAGES = 10;
/** Maximum number of concurrent calls. */
const IN_FLIGHT = 4;

async function inFlight<T>(all: readonly T[], work: (part: readonly T[]) => Promise<void>): Promise<void> {
  let next = 0;
  async function run(): Promise<void> {
    while (next < all.length) {
      const from = next;
      next += PART;
      await work(all.slice(from, from + PART));
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, run));
}
