import { resolveConflict, type Stores } from '@edge-migration/identity/converge.ts';
import { checkUnchanged, isEdgeBorn } from '@edge-migration/identity/convergence-step.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { encodeIdentity } from '@edge-migration/identity/edge/document/document.ts';
import { compareDocuments } from '@edge-migration/identity/edge/merge.ts';
import { overrideRows } from '@edge-migration/identity/edge/override-rows.ts';
import { isDocumentOf } from '@edge-migration/identity/edge/ownership.ts';
import { keyOf, rowName } from '@edge-migration/identity/edge/table/override-rows.ts';
import { type EdgeCallOptions, type Item, WriteRejectedError } from '@edge-migration/identity/edge/table/table.ts';
import { type CopyPage, type PageDocument, skip } from './page.ts';
import { reject } from './rejection.ts';
import type { Result } from './totals.ts';

type OnConflict = 'KeepEdge' | 'CoreWins';

/**
 * Settles documents that Edge already has (docs/design.md, "Convergence", rule 2): most are the worker's own and equal.
 * Those of the others that stay unchanged only need a second read of Core; the rest is converged one by one, never from
 * the current page.
 *
 * @param options `isRecheck`: what was copied is checked again
 */
export function createConflictSettler(stores: Stores, { isRecheck }: { readonly isRecheck: boolean }) {
  const { core, edge, clock } = stores;
  /** An Edge client created its own document elsewhere, which has taken the place of the copied one. */
  const mayHaveLeftRows = (existing: Item, { item }: PageDocument) =>
    isRecheck && isEdgeBorn(existing) && (item['identity_features']?.L ?? []).length > 0;

  /** @param found what Edge had a moment ago, by key; a document that is missing there was deleted meanwhile */
  return async function settleConflicts(
    page: CopyPage,
    documents: readonly PageDocument[],
    found: ReadonlyMap<string, Item>,
    onConflict: OnConflict,
    options: EdgeCallOptions & { signal: AbortSignal },
  ): Promise<Result[]> {
    const results = new Map<number, Result>();
    const kept: Item[] = [];
    const stays: PageDocument[] = [];
    const open: PageDocument[] = [];
    for (const document of documents) {
      const existing = found.get(document.key);
      if (existing !== undefined && !mayHaveLeftRows(existing, document) && isEqual(existing, document)) {
        results.set(document.index, { outcome: 'unchanged' });
        kept.push(existing);
      } else if (existing !== undefined && onConflict === 'KeepEdge' && isOf(existing, page.environment, document)) {
        stays.push(document);
        kept.push(existing);
      } else open.push(document);
    }
    if (!isRecheck) await addMissingRows(page, kept, options);
    for (const [index, result] of await compareWithCore(page, stays, found, options.signal)) results.set(index, result);
    for (const document of open) results.set(document.index, await resolve(page, document, found, onConflict, options));
    return documents.map(({ index }) => results.get(index)!);
  };

  /** Core may have changed since the page was read, and replay been quicker: only Core's present state counts. */
  async function compareWithCore(
    { environment }: CopyPage,
    documents: readonly PageDocument[],
    found: ReadonlyMap<string, Item>,
    signal: AbortSignal,
  ): Promise<Map<number, Result>> {
    if (documents.length === 0) return new Map();
    const ids = documents.map(({ identity }) => identity.id);
    const identities = new Map(
      (await core.identities.byId(environment, ids, signal)).map((identity) => [identity.id, identity]),
    );
    return new Map(documents.map((document) => [document.index, compare(document)]));

    function compare({ identity, key }: PageDocument): Result {
      const now = identities.get(identity.id);
      if (now === undefined) return { outcome: 'gone' };
      const encoded = encodeIdentity(now, environment);
      if (encoded.kind === 'skipped') return skip(encoded);
      const difference = compareDocuments(found.get(key)!, encoded.item);
      return difference === undefined
        ? { outcome: 'unchanged' }
        : { outcome: 'kept', differing: { environmentId: environment.id, identityId: identity.id, ...difference } };
    }
  }

  async function resolve(
    { environment }: CopyPage,
    { identity, key }: PageDocument,
    found: ReadonlyMap<string, Item>,
    onConflict: OnConflict,
    { signal, deadline, lost }: EdgeCallOptions & { signal: AbortSignal },
  ): Promise<Result> {
    const fence = { deadline, lost };
    const subject = { environment, identifier: identity.identifier, onConflict, isRecheck };
    const place = { environmentId: environment.id, identityId: identity.id };
    try {
      const { outcome, difference, edgeBorn, skipped } = await resolveConflict(
        stores,
        subject,
        found.get(key),
        signal,
        fence,
      );
      if (outcome === 'unstorable') return skipped === undefined ? { outcome: 'gone' } : { ...skip(skipped), edgeBorn };
      const differing = difference && { ...place, ...difference };
      return { outcome: outcome === 'equal' ? 'unchanged' : outcome, differing, edgeBorn };
    } catch (error) {
      // Both sides together may exceed the limit of an item; the rest of the page continues.
      if (error instanceof WriteRejectedError) return reject(place.environmentId, place.identityId, error.message);
      throw error;
    }
  }

  /** For unchanged documents: those of other tools, and of a copy without a table for rows, have no rows. */
  async function addMissingRows(
    { environment }: CopyPage,
    documents: readonly Item[],
    options: EdgeCallOptions,
  ): Promise<void> {
    const { commit, overrideRows: table } = edge;
    if (commit === undefined || table === undefined) return;
    const wanted = documents.map((document) => ({
      document,
      rows: overrideRows(environment.id, document, clock.now()),
    }));
    const keys = wanted.flatMap(({ rows }) => rows.map(keyOf));
    if (keys.length === 0) return;
    const present = await table.getMany(keys, options);
    for (const { document, rows } of wanted) {
      const missing = rows.filter((row) => !present.has(rowName(keyOf(row))));
      // A document that has changed meanwhile got its rows from the writer of the change.
      if (missing.length > 0) await commit(checkUnchanged(document), { put: missing, remove: [] }, options);
    }
  }
}

const isEqual = (existing: Item, { item }: PageDocument) => compareDocuments(existing, item) === undefined;

/**
 * The document belongs to this very identity: not to an earlier one with the same identifier, nor to another one with
 * the same key, and it was not created on Edge.
 */
function isOf(existing: Item, { apiKey }: CoreEnvironment, { identity }: PageDocument): boolean {
  const isOwn = isDocumentOf(existing, { apiKey, identifier: identity.identifier });
  return isOwn && existing['django_id']?.N === String(identity.id);
}
