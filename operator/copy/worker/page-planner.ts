import type { Stores } from '@edge-migration/identity/converge.ts';
import { compareDocuments } from '@edge-migration/identity/edge/merge.ts';
import { overrideRows } from '@edge-migration/identity/edge/override-rows.ts';
import { isDocumentOf, keyTaken } from '@edge-migration/identity/edge/ownership.ts';
import type { DescribedTables, Item } from '@edge-migration/identity/edge/table/table.ts';
import {
  type CopyPage,
  createResults,
  encodeSlice,
  type HandlePage,
  listDone,
  type PageDocument,
  skip,
} from './page.ts';
import type { Result } from './totals.ts';
import { sumWriteUnits } from './write-units.ts';

/** The outcomes that need a write. */
const WRITTEN = new Set<Result['outcome']>(['inserted', 'merged', 'replaced']);
/** Maximum number of concurrent calls. */
const IN_FLIGHT = 4;
const READ_BATCH = 100;

/**
 * Determines the effect of writing a page, without writing: which documents are absent, equal, different, of an earlier
 * identity or created on Edge, and the cost of the writes.
 *
 * @param tables as returned by `describe`: their indexes and regions add to the cost of an item
 */
export function createPagePlanner(stores: Stores, tables: DescribedTables): HandlePage {
  const { edge, clock } = stores;

  const rowsOf = ({ environment }: CopyPage, { item }: PageDocument) =>
    tables.overrideRows === undefined ? [] : overrideRows(environment.id, item, clock.now());

  return async function planPage(page, _settings, signal) {
    const known = createResults(page);
    const sum = sumWriteUnits(tables);
    let next = 0;

    async function work(): Promise<void> {
      while (next < page.identities.length) {
        const slice = { from: next, count: READ_BATCH };
        next += slice.count;
        const chunk = encodeSlice(page, slice, known);
        if (chunk.length === 0) continue;
        await planChunk(chunk);
      }
    }

    async function planChunk(chunk: readonly PageDocument[]): Promise<void> {
      const absent = new Map(chunk.map((document) => [document.key, document]));
      const keys = [...absent.keys()];
      for await (const part of edge.identities.getParts(keys, { signal })) {
        for (const [key, existing] of part) {
          note(absent.get(key)!, existing);
          absent.delete(key);
        }
      }
      for (const document of absent.values()) note(document, undefined);
    }

    function note(document: PageDocument, existing: Item | undefined): void {
      const result = foresee(page, document, existing);
      known.results[document.index] = result;
      if (WRITTEN.has(result.outcome)) sum.add(document, rowsOf(page, document));
    }

    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    return { ...listDone(known), planned: { home: sum.home, units: sum.units } };
  };
}

/** As if Edge's documents were kept: the differing ones show what `CoreWins` would do in addition. */
function foresee({ environment }: CopyPage, { identity, item }: PageDocument, existing: Item | undefined): Result {
  if (existing === undefined) return { outcome: 'inserted' };
  const owner = { apiKey: environment.apiKey, identifier: identity.identifier };
  if (!isDocumentOf(existing, owner)) return skip(keyTaken(environment.id, identity.id));
  const difference = compareDocuments(existing, item);
  if (difference === undefined) return { outcome: 'unchanged' };
  const differing = { environmentId: environment.id, identityId: identity.id, ...difference };
  const djangoId = existing['django_id']?.N;
  if (djangoId === undefined) return { outcome: 'merged', differing, edgeBorn: true };
  return { outcome: djangoId === String(identity.id) ? 'kept' : 'replaced', differing };
}
