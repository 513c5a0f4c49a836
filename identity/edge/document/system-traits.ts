import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { UnstorableError } from './skip.ts';
import { checkLength, MAX_TRAIT_LENGTH, storableFloat, storableInteger } from './trait.ts';

/** A number in a JSON text, with all its digits. */
class JsonNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/**
 * Core's `system_traits` (memberships in cohorts) as the document's attribute of the same name, or undefined when there
 * are none. Flagsmith's migrator leaves them out and so loses the memberships, which are never sent again.
 *
 * A null value is left out, like a trait without a value.
 *
 * @throws UnstorableError
 */
export function encodeSystemTraits(json: string | null): AttributeValue | undefined {
  if (json === null) return undefined;
  const traits: unknown = parseJson(json);
  if (typeof traits !== 'object' || traits === null || Array.isArray(traits) || traits instanceof JsonNumber) {
    throw new UnstorableError('SystemTraitUnsupported', 'system_traits is not an object');
  }
  const encoded = Object.entries(traits).flatMap(([key, value], index) => {
    const encodedValue = systemTraitValue(key, value, () => `system trait ${index + 1}`);
    return encodedValue === undefined ? [] : [[key, encodedValue] as const];
  });
  return encoded.length === 0 ? undefined : { M: Object.fromEntries(encoded) };
}

function systemTraitValue(key: string, value: unknown, what: () => string): AttributeValue | undefined {
  if (value === null) return undefined;
  if (key === '') throw new UnstorableError('SystemTraitUnsupported', `${what()} has an empty key`);
  if (typeof value === 'boolean') return { BOOL: value };
  if (value instanceof JsonNumber) {
    const integer = /^-?[0-9]+$/.test(value.source);
    return { N: integer ? storableInteger(value.source, what) : storableFloat(Number(value.source), what) };
  }
  if (typeof value === 'string') {
    checkLength(value, MAX_TRAIT_LENGTH, what);
    return { S: value };
  }
  throw new UnstorableError('SystemTraitUnsupported', `${what()} is neither text, number nor boolean`);
}

/** Numbers keep their text, because jsonb holds more digits than a double. */
function parseJson(text: string): unknown {
  const keepDigits = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? new JsonNumber(context.source) : value;
  return JSON.parse(text, keepDigits);
}
