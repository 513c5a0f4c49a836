import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** Values of an identity's traits by key. */
export type Traits = Readonly<Record<string, unknown>>;

/** Of a document in Edge, in its order; each value as DynamoDB's client returns it, without its type. */
export function traitsOf(document: Readonly<Record<string, AttributeValue>>): Traits {
  const traits = document['identity_traits']?.L ?? [];
  return Object.fromEntries(
    traits.map(({ M }) => [M?.['trait_key']?.S ?? '', Object.values(M?.['trait_value'] ?? {})[0]]),
  );
}
