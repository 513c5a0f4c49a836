import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import {
  type EncodedDocument,
  encodeIdentity,
  type SkippedIdentity,
} from '@edge-migration/identity/edge/document/document.ts';
import type { SendDeadline } from '@edge-migration/identity/edge/table/table.ts';
import type { LiveSettings } from '../../edge-migration/facts.ts';
import type { WriteUnits } from '../write-units.ts';
import type { Result } from './totals.ts';

/** Identities of one environment as Core had them a moment ago. */
export interface CopyPage {
  readonly environment: CoreEnvironment;
  readonly identities: readonly CoreIdentity[];
  /** It may be written until then. */
  readonly deadline: SendDeadline;
  /** Called for each write that was sent and not answered. */
  readonly lost?: (() => void) | undefined;
}

/** A document of a page and its position there. */
export interface PageDocument extends Omit<EncodedDocument, 'kind'> {
  readonly index: number;
  readonly identity: CoreIdentity;
}

/** The result of a page. */
export interface HandledPage {
  /** Of the page's first identities: all of them, or as many as were done before the page became too old. */
  readonly results: readonly Result[];
  readonly documentBytes: number;
  /** The cost of writing it; omitted if it was written: then the budget knows. */
  readonly planned?: { readonly home: number; readonly units: WriteUnits };
  /** The obstacle to finishing the page in time. */
  readonly hindrance?: unknown;
}

/** Writes a page, or only determines what that would do. */
export type HandlePage = (page: CopyPage, settings: LiveSettings, signal: AbortSignal) => Promise<HandledPage>;

/** The results of a page so far, by the identity's position in it. */
export interface PageResults {
  readonly results: (Result | undefined)[];
  /** Sizes of the documents. */
  readonly bytes: number[];
}

export function createResults({ identities }: CopyPage): PageResults {
  return {
    results: new Array<Result | undefined>(identities.length).fill(undefined),
    bytes: new Array<number>(identities.length).fill(0),
  };
}

/**
 * Encodes `count` identities, beginning with `from`. Not a whole page at once: documents take several times the memory
 * of rows, and only those in flight are needed.
 *
 * @param known receives the sizes, and the results of identities that Edge cannot hold
 */
export function encodeSlice(
  { environment, identities }: CopyPage,
  { from, count }: { from: number; count: number },
  known: PageResults,
): PageDocument[] {
  const documents: PageDocument[] = [];
  for (let index = from; index < Math.min(from + count, identities.length); index++) {
    const identity = identities[index]!;
    const encoded = encodeIdentity(identity, environment);
    if (encoded.kind === 'skipped') known.results[index] = skip(encoded);
    else {
      known.bytes[index] = encoded.bytes;
      documents.push({ key: encoded.key, item: encoded.item, bytes: encoded.bytes, index, identity });
    }
  }
  return documents;
}

/** The results from the start of a page up to the first gap. */
export function listDone({ results, bytes }: PageResults): HandledPage {
  const gap = results.indexOf(undefined);
  const done = (gap < 0 ? results : results.slice(0, gap)) as readonly Result[];
  let documentBytes = 0;
  for (let index = 0; index < done.length; index++) documentBytes += bytes[index]!;
  return { results: done, documentBytes };
}

/** The result of an identity that Edge cannot hold. */
export function skip({ environmentId, identityId, reason, detail }: SkippedIdentity): Result {
  return { outcome: 'skipped', skipped: { environmentId, identityId, reason, detail } };
}
