import type { Stores } from '@edge-migration/identity/converge.ts';
import { overrideRows } from '@edge-migration/identity/edge/override-rows.ts';
import { recheckDelayOf } from '@edge-migration/identity/edge/replication-lag.ts';
import {
  DeadlinePassedError,
  type EdgeCallOptions,
  INSERT_BATCH,
  type InsertOutcome,
  type Item,
  WriteRejectedError,
} from '@edge-migration/identity/edge/table/table.ts';
import { createConflictSettler } from './conflicts.ts';
import { type CopyPage, createResults, encodeSlice, type HandlePage, listDone, type PageDocument } from './page.ts';
import { reject } from './rejection.ts';
import type { Result } from './totals.ts';

/** Maximum number of concurrent calls. */
const IN_FLIGHT = 8;
/** Reading a document costs a fifth of a failed insert: documents are read first if more than this share exists. */
const MANY_EXIST = 0.2;
const FEW_EXIST = 0.1;
/** Maximum number of documents looked up in one call. */
const READ_BATCH = 100;

/**
 * Writes pages: inserts in batches what Edge lacks, and settles what it has (docs/design.md, "Convergence", rule 2).
 *
 * If most documents exist already, for example on a page that a killed worker had begun, they are read first and only
 * absent ones inserted, because failed inserts cost write units.
 *
 * @param options `isRecheck`: what was copied is checked again
 */
export function createPageWriter(stores: Stores, { isRecheck = false } = {}): HandlePage {
  const { edge, clock } = stores;
  const settleConflicts = createConflictSettler(stores, { isRecheck });
  // A repeated copy must not write at all, so the first documents are always looked up.
  let readFirst = true;

  async function writePage(
    page: CopyPage,
    { onConflict }: { onConflict: 'KeepEdge' | 'CoreWins' },
    signal: AbortSignal,
  ) {
    const known = createResults(page);
    const { results } = known;
    const options = { signal, deadline: page.deadline, lost: page.lost };
    let next = 0;
    let failure: { error: unknown } | undefined;

    async function work(): Promise<void> {
      while (next < page.identities.length && failure === undefined) {
        const slice = { from: next, count: readFirst ? READ_BATCH : INSERT_BATCH };
        next += slice.count;
        try {
          await writeChunk(encodeSlice(page, slice, known));
        } catch (error) {
          failure ??= { error };
        }
      }
    }

    async function writeChunk(chunk: readonly PageDocument[]): Promise<void> {
      if (chunk.length === 0) return;
      const absent = readFirst ? await settleExisting(chunk) : chunk;
      const taken: PageDocument[] = [];
      for (let from = 0; from < absent.length; from += INSERT_BATCH) {
        taken.push(...(await insert(absent.slice(from, from + INSERT_BATCH), page, results, options)));
      }
      noticeConflicts((chunk.length - absent.length + taken.length) / chunk.length);
      const gone = await settleExisting(taken);
      if (gone.length > 0) await settle(gone, new Map());
    }

    /** Part by part, so that large documents are never in memory together. Returns those that Edge lacks. */
    async function settleExisting(documents: readonly PageDocument[]): Promise<readonly PageDocument[]> {
      const open = new Map(documents.map((document) => [document.key, document]));
      for await (const part of edge.identities.getParts([...open.keys()], options)) {
        await settle(
          [...part.keys()].map((key) => open.get(key)!),
          part,
        );
        for (const key of part.keys()) open.delete(key);
      }
      return [...open.values()];
    }

    async function settle(documents: readonly PageDocument[], found: ReadonlyMap<string, Item>): Promise<void> {
      const settled = await settleConflicts(page, documents, found, onConflict, options);
      for (const [index, { index: place }] of documents.entries()) results[place] = settled[index];
    }

    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    if (failure === undefined) return listDone(known);
    // What was done of a page before it became too old counts.
    if (failure.error instanceof DeadlinePassedError) return { ...listDone(known), hindrance: failure.error };
    throw failure.error;
  }

  function noticeConflicts(share: number): void {
    if (share > MANY_EXIST) readFirst = true;
    else if (share < FEW_EXIST) readFirst = false;
  }

  /** Returns the documents whose key is taken. */
  async function insert(
    documents: readonly PageDocument[],
    { environment }: CopyPage,
    results: (Result | undefined)[],
    options: EdgeCallOptions,
  ): Promise<PageDocument[]> {
    const taken: PageDocument[] = [];
    const note = (document: PageDocument, outcome: InsertOutcome) => {
      if (outcome === 'exists') taken.push(document);
      else if (outcome === 'inserted') results[document.index] = { outcome };
      else results[document.index] = reject(environment.id, document.identity.id, outcome.rejected);
    };
    const alone = edge.commit === undefined ? documents : documents.filter((document) => !hasOverrides(document));
    const outcomes = alone.length === 0 ? [] : await edge.identities.insertMany(alone, options);
    for (const [position, document] of alone.entries()) note(document, outcomes[position]!);
    if (edge.commit === undefined) return taken;
    for (const document of documents.filter(hasOverrides)) {
      note(document, await insertWithRows(edge.commit, environment.id, document, options));
    }
    return taken;
  }

  /** In one transaction, so that a row can never outlive changes that replay makes to its override meanwhile. */
  async function insertWithRows(
    commit: NonNullable<typeof edge.commit>,
    environmentId: number,
    { item }: PageDocument,
    options: EdgeCallOptions,
  ): Promise<InsertOutcome> {
    const rows = { put: overrideRows(environmentId, item, clock.now()), remove: [] };
    try {
      const result = await commit({ kind: 'put', item, expected: undefined }, rows, options);
      return result === 'written' ? 'inserted' : 'exists';
    } catch (error) {
      if (error instanceof WriteRejectedError) return { rejected: error.message };
      throw error;
    }
  }

  return writePage;
}

/**
 * Checks copied documents where a write is not final; undefined where it is. It reads first, so that it only writes
 * what no longer holds.
 */
export function createRecheck(
  stores: Stores,
  settings: { readonly replicationLagSeconds: number },
): { readonly afterMs: number; readonly handlePage: HandlePage } | undefined {
  const afterMs = recheckDelayOf(stores.edge, settings);
  return afterMs === undefined ? undefined : { afterMs, handlePage: createPageWriter(stores, { isRecheck: true }) };
}

const hasOverrides = ({ item }: PageDocument) => (item['identity_features']?.L ?? []).length > 0;
