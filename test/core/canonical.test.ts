import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalNumber, canonicalText } from './canonical.ts';

describe('The canonical form of a number', () => {
  it.each([
    ['10.0', '10'],
    ['1E+22', '10000000000000000000000'],
    ['1.5e-7', '0.00000015'],
    ['-0', '0'],
    ['-0.50', '-0.5'],
    ['007', '7'],
    ['0.000', '0'],
    ['.5', '0.5'],
    ['123.456E2', '12345.6'],
    ['123456e-3', '123.456'],
    ['9007199254740993', '9007199254740993'],
    ['Infinity', 'Infinity'],
  ])('of %s is %s', (text, canonical) => {
    expect(canonicalNumber(text)).toBe(canonical);
  });

  it('is independent of the position of the point and the exponent', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
        fc.integer({ min: 0, max: 200 }),
        (integer, zeros) => {
          expect(canonicalNumber(`${integer}${'0'.repeat(zeros)}e-${zeros}`)).toBe(String(integer));
          expect(canonicalNumber(`${integer}e${zeros}`)).toBe(integer === 0n ? '0' : `${integer}${'0'.repeat(zeros)}`);
        },
      ),
    );
  });
});

describe('The canonical text of a document', () => {
  it('ignores the order of attributes and the identity_uuid, at any depth', () => {
    const left = { b: { N: '1.0' }, a: { M: { y: { S: '1.0' }, x: { BOOL: true } } }, identity_uuid: { S: 'one' } };
    const right = { a: { M: { x: { BOOL: true }, y: { S: '1.0' } } }, b: { N: '1' } };
    expect(canonicalText(left)).toBe(canonicalText(right));
  });

  it('orders multivariate values by id, as readers look them up', () => {
    const values = [1, 2, 10].map((id) => ({ M: { id: { N: String(id) }, share: { N: '1.0' } } }));
    const [ascending, descending] = [values, values.toReversed()].map((L) =>
      canonicalText({ multivariate_feature_state_values: { L } }),
    );
    expect(ascending).toBe(descending);
    expect(ascending).toContain('"share":{"N":"1"}');
  });

  it.each([
    ['a string and a number', { a: { S: '1' } }, { a: { N: '1' } }],
    ['strings that look like numbers', { a: { S: '1.0' } }, { a: { S: '1' } }],
    ['another order of a list', { a: { L: [{ N: '1' }, { N: '2' }] } }, { a: { L: [{ N: '2' }, { N: '1' }] } }],
    ['a missing attribute', { a: { NULL: true } }, {}],
  ])('distinguishes %s', (_difference, left, right) => {
    expect(canonicalText(left)).not.toBe(canonicalText(right));
  });
});
