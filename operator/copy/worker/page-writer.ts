import type { Stores } from '@edge-migration/identity/converge.ts';
import { overrideRows } from '@edge-migration/identity/edge/override-rows.ts';
import { type CallOptions, DeadlinePassed, INSERT_BATCH, type Item } from '@edge-migration/identity/edge/table.ts';
import { createConflictSettler } from './conflicts.ts';
import { createResults, encodeSlice, type HandlePage, listDone, type Page, type PageDocument } from './page.ts';
import { describeRejection } from './rejection.ts';
import type { Result } from './totals.ts';

/** Calls that are under way at the same time. */
const IN_FLIGHT = 8;
/** A document read before the insert costs a fifth of an insert that fails: read first where more than this exist. */
const MANY_EXIST = 0.2;
const FEW_EXIST = 0.1;
/** Documents that are looked up in one call. */
const READ_BATCH = 100;

/**
 * Writes pages: inserts what Edge has not, in batches, and settles what it has (docs/design.md, "Convergence", rule 2).
 *
 * Where most documents exist already, such as on a page that a killed worker had begun, they are read first and only
 * the absent ones inserted, because failed inserts cost write units.
 */
export function createPageWriter(stores: Stores): HandlePage {
  const { edge, release, clock } = stores;
  const settleConflicts = createConflictSettler(stores);
  // A copy that is run again must not write at all, so the first documents are looked up whatever comes.
  let readFirst = true;

  async function writePage(page: Page, { onConflict }: { onConflict: 'KeepEdge' | 'CoreWins' }, signal: AbortSignal) {
    const known = createResults(page);
    const { results } = known;
    const options = { signal, deadline: page.deadline };
    let next = 0;
    let failure: { error: unknown } | undefined;

    async function work(): Promise<void> {
      while (next < page.identities.length && failure === undefined) {
        const slice = { from: next, count: readFirst ? READ_BATCH : INSERT_BATCH };
        next += slice.count;
        try {
          await writeChunk(encodeSlice(page, slice, release, known));
        } catch (error) {
          failure ??= { error };
        }
      }
    }

    async function writeChunk(chunk: readonly PageDocument[]): Promise<void> {
      if (chunk.length === 0) return;
      const found = readFirst ? await readExisting(chunk, options) : new Map<string, Item>();
      const absent = chunk.filter(({ key }) => !found.has(key));
      const taken: PageDocument[] = [];
      for (let from = 0; from < absent.length; from += INSERT_BATCH) {
        taken.push(...(await insert(absent.slice(from, from + INSERT_BATCH), page, results, options)));
      }
      noticeConflicts((chunk.length - absent.length + taken.length) / chunk.length);
      if (taken.length > 0) for (const [key, item] of await readExisting(taken, options)) found.set(key, item);
      const existing = chunk.filter(({ key }) => found.has(key)).concat(taken.filter(({ key }) => !found.has(key)));
      if (existing.length === 0) return;
      const settled = await settleConflicts(page, existing, found, onConflict, options);
      for (const [index, { index: place }] of existing.entries()) results[place] = settled[index];
    }

    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    if (failure === undefined) return listDone(known);
    // A page that became too old is done as far as it came.
    if (failure.error instanceof DeadlinePassed) return { ...listDone(known), hindrance: failure.error };
    throw failure.error;
  }

  function noticeConflicts(share: number): void {
    if (share > MANY_EXIST) readFirst = true;
    else if (share < FEW_EXIST) readFirst = false;
  }

  async function readExisting(documents: readonly PageDocument[], options: CallOptions): Promise<Map<string, Item>> {
    return edge.identities.getMany(
      documents.map(({ key }) => key),
      options,
    );
  }

  /** Returns the documents whose key is taken. */
  async function insert(
    documents: readonly PageDocument[],
    { environment }: Page,
    results: (Result | undefined)[],
    options: CallOptions,
  ): Promise<PageDocument[]> {
    const outcomes = await edge.identities.insertMany(documents, options);
    const taken: PageDocument[] = [];
    const settled: [PageDocument, Result][] = [];
    const rows: Item[] = [];
    for (const [position, document] of documents.entries()) {
      const outcome = outcomes[position]!;
      if (outcome === 'exists') taken.push(document);
      else if (outcome === 'inserted') {
        settled.push([document, { outcome }]);
        if (edge.overrideRows !== undefined) rows.push(...overrideRows(environment.id, document.item, clock.now()));
      } else settled.push([document, reject(environment.id, document, outcome.rejected)]);
    }
    if (rows.length > 0) await edge.overrideRows?.putMany(rows, options);
    // Only now: an identity whose override rows are not there yet is not done.
    for (const [{ index }, result] of settled) results[index] = result;
    return taken;
  }

  return writePage;
}

function reject(environmentId: number, { identity }: PageDocument, message: string): Result {
  const reason = 'RejectedByDynamodb';
  return {
    outcome: 'skipped',
    skipped: { environmentId, identityId: identity.id, reason, detail: describeRejection(message) },
  };
}
