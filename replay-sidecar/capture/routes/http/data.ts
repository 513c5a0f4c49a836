import { JsonNumber, numberText, parseExactJson, pythonText } from '../python/json.ts';
import { idFromNumber, idFromText, strip } from '../python/text.ts';
import type { QueryDict } from './query.ts';

/** Django REST framework's `request.data` or one object in it, whatever the content type was. */
export interface Data {
  has(name: string): boolean;
  isNull(name: string): boolean;
  /** As a serializer's CharField takes it: numbers in Python's spelling, trimmed. Undefined: blank, null or invalid. */
  string(name: string): string | undefined;
  /** Python's `str()` of whatever is there, untrimmed; undefined for null and for what is missing. */
  text(name: string): string | undefined;
  /** Whether a BooleanField takes it for true. */
  isTrue(name: string): boolean;
  /** As a PrimaryKeyRelatedField takes it. */
  id(name: string): number | undefined;
  /** The field of a nested serializer; undefined when it is no object. */
  child(name: string): Data | undefined;
  /** The elements of a nested list serializer; what is no object has no fields. */
  items(name: string): readonly Data[];
}

/** JSON in which numbers are spelled out on demand: `exact` finds the same place in the slowly parsed text. */
interface JsonPlace {
  value: unknown;
  exact(): unknown;
}

/** `request.data` of a JSON body: an object, or the elements of an array; undefined for a scalar. */
export function jsonData(text: string): { object: Data } | { elements: readonly Data[] } | undefined {
  const value: unknown = JSON.parse(text);
  let parsed: { exact: unknown } | undefined;
  const exact = (): unknown => {
    parsed ??= { exact: parseExactJson(text) };
    return parsed.exact;
  };
  if (Array.isArray(value)) return { elements: elements({ value, exact }) };
  return isObject(value) ? { object: jsonObject({ value, exact }) } : undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonObject(place: JsonPlace): Data {
  const fields = new Map(isObject(place.value) ? Object.entries(place.value) : []);
  const at = (name: string): JsonPlace => ({
    value: fields.get(name),
    exact: () => (place.exact() as Record<string, unknown>)[name],
  });
  return {
    has: (name) => fields.has(name),
    isNull: (name) => fields.get(name) === null,
    string: (name) => serializerString(at(name)),
    text: (name) => untrimmedText(at(name)),
    isTrue: (name) => isTrue(fields.get(name)),
    id: (name) => idOf(fields.get(name)),
    child: (name) => (isObject(fields.get(name)) ? jsonObject(at(name)) : undefined),
    items: (name) => elements(at(name)),
  };
}

function elements(place: JsonPlace): readonly Data[] {
  if (!Array.isArray(place.value)) return [];
  return place.value.map((value, index) =>
    jsonObject({ value, exact: () => (place.exact() as readonly unknown[])[index] }),
  );
}

function serializerString(place: JsonPlace): string | undefined {
  const text = typeof place.value === 'number' ? spelled(place) : place.value;
  return typeof text === 'string' ? strip(text) || undefined : undefined;
}

function untrimmedText(place: JsonPlace): string | undefined {
  if (typeof place.value === 'string') return place.value;
  return place.value === null || place.value === undefined ? undefined : pythonText(place.exact());
}

function spelled(place: JsonPlace): string {
  const exact = place.exact();
  return exact instanceof JsonNumber ? numberText(exact) : pythonText(exact);
}

/** REST framework's true values; older releases take fewer spellings and refuse the others, which changes nothing. */
const TRUE = /^(?:t|y|yes|true|on|1)$/i;

function isTrue(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === 'string' && TRUE.test(value));
}

/** An id as a request or a response of Core has it: a number, digits, or a nested object with an `id`. */
export function idOf(value: unknown): number | undefined {
  if (typeof value === 'number') return idFromNumber(value);
  if (typeof value === 'string') return idFromText(value);
  return isObject(value) && !isObject(value['id']) ? idOf(value['id']) : undefined;
}

/** `request.data` of a form: nested as `identity.identifier` and `traits[0]trait_key`. */
export function formData(fields: QueryDict): Data {
  const last = (name: string): string | undefined => fields.get(name)?.at(-1);
  return {
    has: (name) => fields.has(name),
    isNull: () => false,
    string: (name) => strip(last(name) ?? '') || undefined,
    text: last,
    isTrue: (name) => isTrue(last(name)),
    id: (name) => idFromText(last(name) ?? ''),
    child: (name) => formChild(fields, name),
    items: (name) => formItems(fields, name),
  };
}

function formChild(fields: QueryDict, name: string): Data | undefined {
  const prefix = `${name}.`;
  const child: QueryDict = new Map();
  for (const [field, values] of fields) if (field.startsWith(prefix)) child.set(field.slice(prefix.length), values);
  return child.size > 0 ? formData(child) : undefined;
}

function formItems(fields: QueryDict, name: string): readonly Data[] {
  const prefix = `${name}[`;
  const items = new Map<number, QueryDict>();
  for (const [field, values] of fields) {
    const match = field.startsWith(prefix) ? /^([0-9]+)\](.+)$/s.exec(field.slice(prefix.length)) : null;
    if (match === null) continue;
    const [index, key = ''] = [Number(match[1]), match[2]];
    const item = items.get(index) ?? new Map<string, string[]>();
    items.set(index, item.set(key, values));
  }
  return [...items.values()].map(formData);
}

/** A request without a body. */
export const NO_DATA: Data = formData(new Map());
