import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { canonicalNumber } from './number.ts';

/**
 * Whether two values are the same to DynamoDB: deep; numbers by value (10 = 10.0 = 1E1); list order counts, the order
 * of map keys and sets does not. Undefined equals only undefined.
 */
export function sameValue(one: AttributeValue | undefined, other: AttributeValue | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  if (one.N !== undefined) return other.N !== undefined && sameNumber(one.N, other.N);
  if (one.L !== undefined) return other.L !== undefined && sameList(one.L, other.L);
  if (one.M !== undefined) return other.M !== undefined && sameMap(one.M, other.M);
  if (one.S !== undefined) return one.S === other.S;
  if (one.BOOL !== undefined) return one.BOOL === other.BOOL;
  if (one.NULL !== undefined) return other.NULL !== undefined;
  if (one.B !== undefined) return other.B !== undefined && hex(one.B) === hex(other.B);
  if (one.SS !== undefined) return other.SS !== undefined && sameSet(one.SS, other.SS);
  if (one.NS !== undefined) return other.NS !== undefined && sameSet(numbers(one.NS), numbers(other.NS));
  return one.BS !== undefined && other.BS !== undefined && sameSet(one.BS.map(hex), other.BS.map(hex));
}

function sameNumber(one: string, other: string): boolean {
  return one === other || canonicalNumber(one) === canonicalNumber(other);
}

function sameList(one: readonly AttributeValue[], other: readonly AttributeValue[]): boolean {
  return one.length === other.length && one.every((element, index) => sameValue(element, other[index]));
}

function sameMap(
  one: Readonly<Record<string, AttributeValue>>,
  other: Readonly<Record<string, AttributeValue>>,
): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && sameValue(one[name], other[name]))
  );
}

function sameSet(one: readonly string[], other: readonly string[]): boolean {
  const members = new Set(other);
  return one.length === other.length && one.every((member) => members.has(member));
}

function numbers(texts: readonly string[]): string[] {
  return texts.map(canonicalNumber);
}

/** Its bytes as text. */
export function hex(binary: Uint8Array): string {
  return Buffer.from(binary).toString('hex');
}
