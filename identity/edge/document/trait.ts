import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { CoreTrait } from '../../core/identity.ts';
import {
  canonicalFloat,
  integerText,
  isStorableFloat,
  MAX_DIGITS,
  MAX_INTEGER_DIGITS,
  significantDigits,
} from './number.ts';
import { UnstorableError } from './skip.ts';

/** Longest text of a trait that readers accept, in code points. */
export const MAX_TRAIT_LENGTH = 2000;

const INTEGER = /^-?[0-9]+$/;
const DECIMAL = /^-?[0-9]+\.[0-9]+$/;

/**
 * A trait's value as Flagsmith's document model writes it, or undefined for a trait without a value: Core's mapper
 * writes NULL, which Edge's published types refuse, and a missing trait evaluates the same.
 *
 * @throws UnstorableError
 */
export function traitValue(trait: CoreTrait): AttributeValue | undefined {
  const { type, value } = trait;
  if (value === null) return undefined;
  switch (type) {
    case 'unicode':
      return textValue(String(value), () => `trait ${trait.id}`);
    case 'int':
      return { N: String(value) };
    case 'bool':
      return { BOOL: value === true };
    case 'float':
      return { N: storableFloat(Number(value), () => `trait ${trait.id}`) };
    default:
      return undefined;
  }
}

/** Text that looks like a number becomes one, because Core itself reads and writes documents this way. */
function textValue(text: string, what: () => string): AttributeValue {
  const first = text.charCodeAt(0);
  // Most texts start with neither a digit nor a minus and need no regular expression.
  if (first === 45 || (first >= 48 && first <= 57)) {
    if (INTEGER.test(text)) return { N: storableInteger(text, what) };
    // A double is what Flagsmith makes of it too: `9007199254740993.0` is rounded there as here.
    if (DECIMAL.test(text)) return { N: storableFloat(Number(text), what) };
  }
  checkLength(text, MAX_TRAIT_LENGTH, what);
  return { S: text };
}

/**
 * Normalizes a number of any length, from text to text.
 *
 * @throws UnstorableError
 */
export function storableInteger(digits: string, what: () => string): string {
  const integer = integerText(digits);
  if (integer.length > MAX_DIGITS) {
    if (significantDigits(integer) > MAX_DIGITS) {
      throw new UnstorableError('NumberTooPrecise', `${what()} has ${significantDigits(integer)} significant digits`);
    }
    if (integer.replace('-', '').length > MAX_INTEGER_DIGITS) throw outOfRange(what());
  }
  return integer;
}

/**
 * A double as {@link canonicalFloat}.
 *
 * @throws UnstorableError
 */
export function storableFloat(value: number, what: () => string): string {
  if (!Number.isFinite(value)) throw new UnstorableError('NumberNotFinite', `${what()} is not finite`);
  if (!isStorableFloat(value)) throw outOfRange(what());
  return canonicalFloat(value);
}

/** @throws UnstorableError when the text has more than `limit` code points */
export function checkLength(text: string, limit: number, what: () => string): void {
  if (text.length > limit && [...text].length > limit) {
    throw new UnstorableError('TextTooLong', `${what()} has more than ${limit} characters`);
  }
}

function outOfRange(what: string): UnstorableError {
  return new UnstorableError('NumberOutOfRange', `${what} is beyond 1E-130 to 9.99E+125`);
}
