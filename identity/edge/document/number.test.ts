import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalFloat, canonicalNumber, integerText, isStorableFloat, significantDigits } from './number.ts';

const DECIMAL = `
import sys
from decimal import Decimal
for line in sys.stdin:
    print(Decimal(repr(float.fromhex(line))))
`;

/** Any double except infinities and NaN: all bit patterns alike, and the kinds that people use. */
const doubles = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => new Float64Array(BigUint64Array.of(bits).buffer)[0] ?? 0),
  fc.integer().map((n) => n / 100),
  fc.tuple(fc.integer({ min: 1, max: 10 ** 9 }), fc.integer({ min: -30, max: 30 })).map(([n, e]) => n * 10 ** e),
  fc.nat(1100).map((exponent) => 2 ** (exponent - 550)),
);

describe('the text of a float', () => {
  test.each([
    [0, '0.0'],
    [-0, '-0.0'],
    [10, '10.0'],
    [0.75, '0.75'],
    [1e-5, '0.00001'],
    [0.000001, '0.000001'],
    [1e-7, '1E-7'],
    [1.5e-7, '1.5E-7'],
    [9007199254740992, '9007199254740992.0'],
    [1e16, '1E+16'],
    [12345678901234568, '12345678901234568'],
    [1.2345678901234568e17, '1.2345678901234568E+17'],
    [1e22, '1E+22'],
    [1e300, '1E+300'],
    [5e-324, '5E-324'],
    [-1.7976931348623157e308, '-1.7976931348623157E+308'],
  ])('the float %d has the text %s', (value, text) => {
    expect(canonicalFloat(value)).toBe(text);
  });

  test("the text of a float is Python's, for 20,000 doubles of all kinds", ({ skip }) => {
    const values = fc.sample(doubles, 20_000).filter(Number.isFinite);
    const python = spawnSync('python3', ['-c', DECIMAL], { input: values.map(hex).join('\n'), encoding: 'utf8' });
    if (python.error !== undefined) {
      const note = `the text of floats was NOT compared with Python's: ${python.error.message}`;
      process.stderr.write(`${note}\n`);
      skip(note);
    }
    expect(python.stderr).toBe('');
    expect(python.stdout.trimEnd().split('\n')).toEqual(values.map(canonicalFloat));
  });

  test('the text of a float reads back as the same double', () => {
    fc.assert(
      fc.property(doubles, (value) => !Number.isFinite(value) || Object.is(Number(canonicalFloat(value)), value)),
    );
  });
});

test('DynamoDB accepts floats from 1E-130 to 9.99E+125, and zero', () => {
  const storable = [0, -0, 1e-130, -1e-130, 9.999999999999998e125];
  const notStorable = [9.999999999999999e-131, 5e-324, 1e126, -1e126, Number.POSITIVE_INFINITY, Number.NaN];
  expect(storable.map(isStorableFloat)).toEqual(storable.map(() => true));
  expect(notStorable.map(isStorableFloat)).toEqual(notStorable.map(() => false));
});

describe('the text of an integer', () => {
  test.each([
    ['0', '0'],
    ['-0', '0'],
    ['-000', '0'],
    ['007', '7'],
    ['-007', '-7'],
    ['12345678901234567890', '12345678901234567890'],
  ])('the integer %s has the text %s', (digits, text) => {
    expect(integerText(digits)).toBe(text);
  });

  test('the text of an integer is that of the whole number, however many digits it has', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^-?[0-9]{1,400}$/), (digits) => {
        expect(integerText(digits)).toBe(String(BigInt(digits)));
      }),
    );
  });

  test('the text of an integer has as many significant digits as DynamoDB counts', () => {
    expect(['100', '-120', '7', '1'.repeat(39)].map(significantDigits)).toEqual([1, 2, 1, 39]);
  });
});

describe('the canonical text of a number', () => {
  test.each([
    ['10', '10'],
    ['10.0', '10'],
    ['1E1', '10'],
    ['1e+1', '10'],
    ['+10', '10'],
    ['100E-1', '10'],
    ['-0.0', '0'],
    ['0E+5', '0'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['-00.50', '-0.5'],
    ['1.5E-7', '0.00000015'],
    ['12.5e1', '125'],
    ['1E+125', `1${'0'.repeat(125)}`],
    ['1E-130', `0.${'0'.repeat(129)}1`],
  ])('the canonical text of %s is %s', (text, canonical) => {
    expect(canonicalNumber(text)).toBe(canonical);
  });

  test('the canonical text is the same for all ways to write a number', () => {
    const shifts = fc.integer({ min: -140, max: 140 });
    fc.assert(
      fc.property(fc.stringMatching(/^-?[0-9]{1,38}$/), shifts, shifts, (digits, exponent, shift) => {
        // The same number with its point moved and the exponent to match, or with more zeros.
        const moved = `${digits}${'0'.repeat(Math.max(shift, 0))}E${exponent - Math.max(shift, 0)}`;
        const sign = digits.startsWith('-') ? '-' : '';
        expect(canonicalNumber(moved)).toBe(canonicalNumber(`${digits}E${exponent}`));
        expect(canonicalNumber(`${sign}000${digits.slice(sign.length)}.000E${exponent}`)).toBe(canonicalNumber(moved));
      }),
    );
  });

  test('the canonical text differs for different numbers', () => {
    const numbers = fc.tuple(fc.bigInt(), fc.integer({ min: -130, max: 100 }));
    fc.assert(
      fc.property(numbers, numbers, ([a, e], [b, f]) => {
        const low = Math.min(e, f);
        const equal = a * 10n ** BigInt(e - low) === b * 10n ** BigInt(f - low);
        expect(canonicalNumber(`${a}E${e}`) === canonicalNumber(`${b}E${f}`)).toBe(equal);
      }),
    );
  });

  test.each(['', '-', '.', 'NaN', 'Infinity', '1e', '0x1', '1 ', '１'])(
    'there is no canonical text of "%s"',
    (text) => {
      expect(() => canonicalNumber(text)).toThrow(RangeError);
    },
  );
});

/** A double without a detour through decimal digits. */
function hex(value: number): string {
  const bits = new BigUint64Array(Float64Array.of(value).buffer)[0] ?? 0n;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & (2n ** 52n - 1n)).toString(16).padStart(13, '0');
  const sign = bits >> 63n === 1n ? '-' : '';
  return `${sign}0x${exponent === 0 ? 0 : 1}.${mantissa}p${exponent === 0 ? -1022 : exponent - 1023}`;
}
