import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** Values of an identity's traits by key. */
export type Traits = Readonly<Record<string, unknown>>;

/** Traits of a document on Edge, in its order; values as returned by DynamoDB's client, without types. */
export function traitsOf(document: Readonly<Record<string, AttributeValue>>): Traits {
  const traits = document['identity_traits']?.L ?? [];
  return Object.fromEntries(
    traits.map(({ M }) => [M?.['trait_key']?.S ?? '', Object.values(M?.['trait_value'] ?? {})[0]]),
  );
}
