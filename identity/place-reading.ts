import type { Stores, Subject } from './converge.ts';
import { type EncodedDocument, encodeIdentity, type SkippedIdentity } from './edge/document/document.ts';
import { type DocumentPart, encodePart } from './edge/document/part.ts';
import { sameValue } from './edge/document/reader.ts';
import type { Pending } from './edge/merge.ts';

/** An identity that a document cannot hold as a whole, and the part that it can hold. */
export interface SkippedWithPart extends SkippedIdentity {
  readonly part: DocumentPart | undefined;
}

export type Encoded = EncodedDocument | SkippedWithPart;

/** Core's answer about the document's place at one moment. */
export interface Reading {
  /** Undefined: there should be no document. */
  readonly encoded?: Encoded | undefined;
  /** Set if the environment lacks the key now: the key's owner, and the id of its identity wherever that is by now. */
  readonly former?: { readonly holder: number | undefined; readonly identityId: number | undefined };
}

/** Reads the identity and the owner of its key, in one snapshot. */
export async function readPlace(
  { core }: Pick<Stores, 'core'>,
  { environment, identifier }: Subject,
  signal: AbortSignal,
): Promise<Reading> {
  const place = { environmentId: environment.id, apiKey: environment.apiKey, identifier };
  const { holder, identity } = await core.identities.keyed(place, signal);
  if (holder !== environment.id) return { former: { holder, identityId: identity?.id } };
  const encoded = identity && encodeIdentity(identity, environment);
  if (encoded?.kind !== 'skipped') return { encoded };
  return { encoded: { ...encoded, part: encodePart(identity!, environment) } };
}

/** Whether Core is unchanged between the two. */
export function isSameReading(before: Reading, after: Reading): boolean {
  return sameFormer(before.former, after.former) && isSame(before.encoded, after.encoded);
}

function sameFormer(one: Reading['former'], other: Reading['former']): boolean {
  return one?.holder === other?.holder && (one === undefined) === (other === undefined);
}

function isSame(before: Encoded | undefined, after: Encoded | undefined): boolean {
  if (before?.kind === 'document' && after?.kind === 'document') {
    return sameValue({ M: before.item }, { M: after.item });
  }
  if (before?.kind !== 'skipped' || after?.kind !== 'skipped') return before === after;
  return before.identityId === after.identityId && isSamePart(before.part, after.part);
}

function isSamePart(before: DocumentPart | undefined, after: DocumentPart | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  const isSameLeft =
    sameKeys(before.left.traits, after.left.traits) && sameKeys(before.left.overrides, after.left.overrides);
  return isSameLeft && sameValue({ M: before.item }, { M: after.item });
}

function sameKeys(one: Pending['traits'], other: Pending['traits']): boolean {
  if (one === 'all' || other === 'all') return one === other;
  return one.symmetricDifference(other).size === 0;
}
