import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { readPage } from '@edge-migration/identity/core/pages.ts';
import type { Item } from '@edge-migration/identity/edge/document.ts';
import type { VerifySegment } from '../ranges.ts';
import type { VerifySettings } from '../settings.ts';
import type { Look, Looked } from './look.ts';

/** Where a page begins: behind an identifier of Core's or a key of Edge's; null at the segment's start. */
export type Start = string | Item | null;

/** A page that was read from one side, how to compare it, and where the next one begins; undefined after the last. */
export interface ReadPage {
  readonly compare: () => Promise<readonly Looked[]>;
  /** Rows of `environments_v2` in it. */
  readonly rows: number;
  readonly next: Exclude<Start, null> | undefined;
}

/** Reads a segment's pages from the side that it is about. */
export function createPageReader(stores: Stores, look: Look, settings: () => VerifySettings) {
  const { core, release, edge } = stores;

  async function readCore(
    environment: CoreEnvironment,
    segment: VerifySegment,
    start: Start,
    signal: AbortSignal,
  ): Promise<ReadPage> {
    const limit = settings().pageSize;
    const after = typeof start === 'string' ? start : segment.after;
    const { identities, last } = await readPage(
      core,
      release,
      { environment, after, until: segment.until, limit },
      signal,
    );
    return {
      compare: () => inParts(identities, (part) => look.lookAtIdentities(environment, part, signal)),
      rows: 0,
      next: identities.length < limit ? undefined : (last ?? undefined),
    };
  }

  async function readDocuments(
    environment: CoreEnvironment,
    { after, until }: VerifySegment,
    start: Start,
    signal: AbortSignal,
  ): Promise<ReadPage> {
    const stretch = { apiKey: environment.apiKey, after, until, from: asKey(start), limit: settings().pageSize };
    const { entries, next } = await edge.identities.listKeys(stretch, { signal });
    return { compare: () => look.lookAtDocuments(environment, entries, signal), rows: 0, next };
  }

  async function readRows(
    environment: CoreEnvironment,
    _segment: VerifySegment,
    start: Start,
    signal: AbortSignal,
  ): Promise<ReadPage> {
    if (edge.overrideRows === undefined) return { compare: async () => [], rows: 0, next: undefined };
    const request = { environmentId: environment.id, from: asKey(start), limit: settings().pageSize };
    const { entries, next } = await edge.overrideRows.listRows(request, { signal });
    return { compare: () => look.lookAtRows(environment, entries, signal), rows: entries.length, next };
  }

  const readers = { core: readCore, documents: readDocuments, rows: readRows };
  return (environment: CoreEnvironment, segment: VerifySegment, start: Start, signal: AbortSignal): Promise<ReadPage> =>
    readers[segment.kind](environment, segment, start, signal);
}

const asKey = (start: Start): Item | undefined => (start === null || typeof start === 'string' ? undefined : start);

/** As many as one call of DynamoDB takes. */
const PART = 100;
/** Calls that are under way at the same time. */
const IN_FLIGHT = 4;

async function inParts<T, R>(all: readonly T[], work: (part: readonly T[]) => Promise<R[]>): Promise<R[]> {
  const results: R[][] = [];
  let next = 0;
  async function run(): Promise<void> {
    while (next < all.length) {
      const from = next;
      next += PART;
      results[from / PART] = await work(all.slice(from, from + PART));
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, run));
  return results.flat();
}
