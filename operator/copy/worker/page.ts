import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import type { CoreRelease } from '@edge-migration/identity/core/release.ts';
import { type EncodedDocument, encodeIdentity, type SkippedIdentity } from '@edge-migration/identity/edge/document.ts';
import type { Deadline } from '@edge-migration/identity/edge/table.ts';
import type { LiveSettings } from '../../edge-migration/facts.ts';
import type { Result } from './totals.ts';

/** Identities of one environment as Core had them a moment ago. */
export interface Page {
  readonly environment: CoreEnvironment;
  readonly identities: readonly CoreIdentity[];
  /** Until when it may be written. */
  readonly deadline: Deadline;
}

/** A document of a page and its place there. */
export interface PageDocument extends EncodedDocument {
  readonly index: number;
  readonly identity: CoreIdentity;
}

/** What became of a page. */
export interface HandledPage {
  /** Of the page's first identities: all of them, or as many as were done before the page became too old. */
  readonly results: readonly Result[];
  readonly documentBytes: number;
  /** Units that writing it would cost; left out when it was written: then the budget knows. */
  readonly writeUnits?: number;
  /** What kept the page from being finished in time. */
  readonly hindrance?: unknown;
}

/** Writes a page, or looks what writing it would mean. */
export type HandlePage = (page: Page, settings: LiveSettings, signal: AbortSignal) => Promise<HandledPage>;

/** Encodes a page; `results` has what is settled by that alone. */
export function encodePage({ environment, identities }: Page, release: CoreRelease) {
  const documents: PageDocument[] = [];
  const results = new Array<Result | undefined>(identities.length).fill(undefined);
  for (const [index, identity] of identities.entries()) {
    const encoded = encodeIdentity(identity, environment, release);
    if (encoded.kind === 'skipped') results[index] = skip(encoded);
    else documents.push({ ...encoded, index, identity });
  }
  return { documents, results };
}

/** Bytes of the documents among a page's first `identities`. */
export function sumBytes(documents: readonly PageDocument[], identities: number): number {
  let sum = 0;
  for (const { index, bytes } of documents) if (index < identities) sum += bytes;
  return sum;
}

/** The result of an identity that Edge cannot hold. */
export function skip({ environmentId, identityId, reason, detail }: SkippedIdentity): Result {
  return { outcome: 'skipped', skipped: { environmentId, identityId, reason, detail } };
}
