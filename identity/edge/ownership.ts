import type { Item, SkippedIdentity } from './document/document.ts';

/** The identity that a document belongs to. */
export interface DocumentOwner {
  /** Client key of its environment. */
  readonly apiKey: string;
  readonly identifier: string;
}

/**
 * Whether the document found under an identity's composite key belongs to that identity. The key alone is ambiguous:
 * environments `a` and `a_b` give their identities `b_x` and `x` the same one.
 *
 * A document belongs to the identity whose `environment_api_key` and `identifier` it carries. If one of the two is
 * damaged, it follows from the other one and the key; a document without either could belong to either identity, and so
 * counts as another's.
 */
export function isDocumentOf(item: Readonly<Item>, { apiKey, identifier }: DocumentOwner): boolean {
  const foundKey = item['environment_api_key']?.S;
  const foundIdentifier = item['identifier']?.S;
  if (foundKey === undefined && foundIdentifier === undefined) return false;
  return (foundKey ?? apiKey) === apiKey && (foundIdentifier ?? identifier) === identifier;
}

/** Attributes that identify a document's owner, as they were read: part of the condition of every write. */
export function ownershipOf({ environment_api_key, identifier }: Readonly<Item>) {
  return { environment_api_key, identifier };
}

/** An identity of Core whose key is taken in Edge by another identity's document. */
export function keyTaken(environmentId: number, identityId: number): SkippedIdentity {
  const detail = 'the document under its key is of another environment key and identifier';
  return { kind: 'skipped', environmentId, identityId, reason: 'KeyTakenByAnother', detail };
}
