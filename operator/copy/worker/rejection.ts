import type { Result } from './totals.ts';

/** DynamoDB's messages may quote values, so only their kind is reported. */
const KINDS: readonly [pattern: RegExp, kind: string][] = [
  [/item size|maximum allowed size/i, 'the item is larger than DynamoDB allows'],
  [/hashkey|partition key.*size|size of.*key/i, 'a key is longer than DynamoDB allows'],
  [/empty string/i, 'a key is empty'],
  [/nesting/i, 'the item is nested deeper than DynamoDB allows'],
  [/number|numeric|digits|magnitude|precision/i, 'a number is beyond what DynamoDB can hold'],
  [/size limit/i, 'a key is longer than DynamoDB allows'],
];

/** Why DynamoDB refused an item, without any of its values. */
function describeRejection(message: string): string {
  return KINDS.find(([pattern]) => pattern.test(message))?.[1] ?? 'DynamoDB does not accept the item';
}

/** The result of an identity whose document DynamoDB refused permanently. */
export function reject(environmentId: number, identityId: number, message: string): Result {
  const reason = 'RejectedByDynamodb';
  return { outcome: 'skipped', skipped: { environmentId, identityId, reason, detail: describeRejection(message) } };
}
