/** DynamoDB keeps this many significant digits and refuses more. */
export const MAX_DIGITS = 38;
/** Whole numbers may have this many digits, trailing zeros included: DynamoDB ends at 9.99…E+125. */
export const MAX_INTEGER_DIGITS = 126;

/** Whether DynamoDB accepts a float: 1E-130 to 9.99…E+125, and zero. A double has few enough digits. */
export function isStorableFloat(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude === 0 || (magnitude >= 1e-130 && magnitude < 1e126);
}

/**
 * The text that Flagsmith's encoder gives a float: Python's shortest `repr`, turned into a `Decimal` and printed by it.
 * `10.0`, `0.75`, `0.00001`, `1E-7`, `1E+22`; -0 is `-0.0`. JavaScript finds the same shortest digits and differs only
 * in layout. Undefined for infinities and NaN.
 */
export function canonicalFloat(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude < 1e16 && (magnitude >= 1e-6 || magnitude === 0)) {
    if (!Number.isInteger(value)) return String(value);
    return Object.is(value, -0) ? '-0.0' : `${value}.0`;
  }
  const scientific = value.toExponential();
  // Decimal omits the exponent when no zero would have to be filled in: 17 digits before the point, none after.
  if (scientific.endsWith('e+16') && scientific.replace(/\D/g, '').length === 17 + '16'.length) return String(value);
  return scientific.replace('e', 'E');
}

/** `-?[0-9]+` as Python's `int` prints it: no leading zeros, no minus zero. Stays text, so no digit is lost. */
export function integerText(digits: string): string {
  const negative = digits.startsWith('-');
  const trimmed = digits.replace(/^-?0*(?=[0-9])/, '');
  return negative && trimmed !== '0' ? `-${trimmed}` : trimmed;
}

/** Significant digits of an {@link integerText}, as DynamoDB counts them: trailing zeros are free. */
export function significantDigits(integer: string): number {
  return integer.replace(/^-/, '').replace(/0+$/, '').length;
}

const NUMBER = /^([+-]?)([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?$/;

/**
 * One text per numeric value, without exponent: `10`, `10.0` and `1E+1` are all `10`; `-0.0` is `0`. For comparisons
 * with numbers from DynamoDB, which formats them its own way.
 *
 * @throws RangeError when the text is not a decimal number
 */
export function canonicalNumber(text: string): string {
  const [, sign, whole, fraction, exponent] = NUMBER.exec(text) ?? [];
  if (whole === undefined || fraction === undefined || whole + fraction === '') {
    throw new RangeError('not a decimal number');
  }
  const digits = whole + fraction;
  const point = whole.length + Number(exponent ?? 0);
  const integer = (point > 0 ? digits.slice(0, point).padEnd(point, '0') : '').replace(/^0+/, '') || '0';
  const decimals = (point < 0 ? '0'.repeat(-point) + digits : digits.slice(point)).replace(/0+$/, '');
  const magnitude = decimals === '' ? integer : `${integer}.${decimals}`;
  return sign === '-' && magnitude !== '0' ? `-${magnitude}` : magnitude;
}
