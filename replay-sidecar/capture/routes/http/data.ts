import { idFromNumber, idFromText } from '../python/text.ts';

/**
 * Django REST framework's `request.data` or one object in it, for any content type. Every method may throw
 * UnreadableError for a value beyond what is read.
 */
export interface Data {
  has(name: string): boolean;
  isNull(name: string): boolean;
  /** As a serializer's CharField reads it: numbers in Python's spelling, trimmed. Undefined: blank, null or invalid. */
  string(name: string): string | undefined;
  /** Python's `str()` of any value, untrimmed; undefined for null and for a missing one. */
  text(name: string): string | undefined;
  /** Whether a BooleanField reads it as true. */
  isTrue(name: string): boolean;
  /** As a PrimaryKeyRelatedField reads it. */
  id(name: string): number | undefined;
  /** The field of a nested serializer; undefined when it is not an object. */
  child(name: string): Data | undefined;
  /** The elements of a nested list serializer; a non-object has no fields. A piece of a long request has some. */
  items(name: string): readonly Data[];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An id as in a response of Core: a number, digits, or a nested object with an `id`. */
export function idOf(value: unknown): number | undefined {
  if (typeof value === 'number') return idFromNumber(value);
  if (typeof value === 'string') return idFromText(value);
  return isObject(value) && !isObject(value['id']) ? idOf(value['id']) : undefined;
}

/** REST framework's true values; older releases accept fewer spellings and refuse the others, which changes nothing. */
const TRUE = /^(?:t|y|yes|true|on|1)$/i;

export function isTrueText(text: string | undefined): boolean {
  return text !== undefined && TRUE.test(text);
}
