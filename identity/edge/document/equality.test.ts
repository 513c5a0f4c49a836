import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sameValue } from './equality.ts';

const { value: values } = fc.letrec<{ value: AttributeValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string().map((S): AttributeValue => ({ S })),
    fc.boolean().map((BOOL): AttributeValue => ({ BOOL })),
    fc.constant<AttributeValue>({ NULL: true }),
    fc.integer().map((n): AttributeValue => ({ N: String(n) })),
    fc.uint8Array().map((B): AttributeValue => ({ B })),
    fc.uniqueArray(fc.string(), { minLength: 1 }).map((SS): AttributeValue => ({ SS })),
    fc.uniqueArray(fc.integer(), { minLength: 1 }).map((NS): AttributeValue => ({ NS: NS.map(String) })),
    fc.array(tie('value')).map((L): AttributeValue => ({ L })),
    fc.dictionary(fc.string(), tie('value')).map((M): AttributeValue => ({ M })),
  ),
}));

/** The same value written another way: numbers with an exponent, keys and members in reverse order. */
function rewritten(value: AttributeValue): AttributeValue {
  if (value.N !== undefined) return { N: `${value.N}0.0E-1` };
  if (value.NS !== undefined) return { NS: value.NS.map((number) => `${number}.0`).toReversed() };
  if (value.SS !== undefined) return { SS: value.SS.toReversed() };
  if (value.B !== undefined) return { B: Uint8Array.from(value.B) };
  if (value.L !== undefined) return { L: value.L.map(rewritten) };
  if (value.M === undefined) return { ...value };
  return {
    M: Object.fromEntries(
      Object.entries(value.M)
        .toReversed()
        .map(([key, inner]) => [key, rewritten(inner)]),
    ),
  };
}

test('a value is the same regardless of number formats and key order', () => {
  fc.assert(fc.property(values, (value) => sameValue(value, rewritten(value)) && sameValue(rewritten(value), value)));
});

test('different values are not the same', () => {
  const isSet = (key: string, member: unknown) => (key === 'SS' || key === 'NS') && Array.isArray(member);
  const plain = (value: AttributeValue) =>
    JSON.stringify(value, (_, inner: unknown) => {
      if (inner instanceof Uint8Array) return [...inner];
      if (typeof inner !== 'object' || inner === null) return inner;
      if (Array.isArray(inner)) return inner;
      return Object.fromEntries(
        Object.entries(inner)
          .map(([key, member]) => [key, isSet(key, member) ? member.toSorted() : member])
          .toSorted(([a], [b]) => (a < b ? -1 : 1)),
      );
    });
  fc.assert(fc.property(values, values, (one, other) => sameValue(one, other) === (plain(one) === plain(other))));
});

test.each<[string, AttributeValue, AttributeValue]>([
  ['text and number', { S: '7' }, { N: '7' }],
  ['lists in another order', { L: [{ N: '1' }, { N: '2' }] }, { L: [{ N: '2' }, { N: '1' }] }],
  ['a longer list', { L: [] }, { L: [{ NULL: true }] }],
  ['a map with another key', { M: { a: { N: '1' } } }, { M: { b: { N: '1' } } }],
  ['a map with one more key', { M: {} }, { M: { a: { NULL: true } } }],
  ['numbers that a double cannot tell apart', { N: '9007199254740993' }, { N: '9007199254740992' }],
  ['NULL and false', { NULL: true }, { BOOL: false }],
  ['sets of numbers and of text', { NS: ['1'] }, { SS: ['1'] }],
  ['binaries', { BS: [Uint8Array.of(1)] }, { BS: [Uint8Array.of(2)] }],
])('%s are different values', (_, one, other) => {
  expect(sameValue(one, other)).toBe(false);
  expect(sameValue({ M: { x: { L: [one] } } }, { M: { x: { L: [other] } } })).toBe(false);
});

test('an attribute that is missing on one side makes a difference', () => {
  expect(sameValue(undefined, { NULL: true })).toBe(false);
  expect(sameValue({ NULL: true }, undefined)).toBe(false);
  expect(sameValue(undefined, undefined)).toBe(true);
});
