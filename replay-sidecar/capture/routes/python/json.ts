import { floatText } from './text.ts';

/** A number as it was written: JavaScript's own would lose `1.0`, `1e2` and long integers. */
export class JsonNumber {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

/**
 * `JSON.parse`, but with every number as {@link JsonNumber}. Several times slower: only for bodies in which the
 * spelling of a number matters.
 *
 * @throws RangeError when nested deeper than the stack allows
 */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? new JsonNumber(context?.source ?? String(value)) : value,
  );
}

/** Python's `str()` of a JSON number: an integer keeps all its digits, a float is spelled as a float. */
export function numberText(number: JsonNumber): string {
  if (!/^-?[0-9]+$/.test(number.source)) return floatText(Number(number.source));
  return number.source === '-0' ? '0' : number.source;
}

/** Python's `str()` of a value of {@link parseExactJson}: a string as it is, everything else as `repr()`. */
export function pythonText(value: unknown): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

function pythonRepr(value: unknown): string {
  if (typeof value === 'string') return stringRepr(value);
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value instanceof JsonNumber) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  const items = Object.entries(value).map(([key, item]) => `${stringRepr(key)}: ${pythonRepr(item)}`);
  return `{${items.join(', ')}}`;
}

const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** `str.__repr__`: double quotes only where that saves escapes; what `isprintable()` denies is escaped. */
function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let body = '';
  for (const char of text) {
    if (char === quote) body += `\\${char}`;
    else if (SHORT_ESCAPES[char] !== undefined) body += SHORT_ESCAPES[char];
    else if (char === ' ' || !/[\p{C}\p{Z}]/u.test(char)) body += char;
    else body += numericEscape(char.codePointAt(0) ?? 0);
  }
  return quote + body + quote;
}

function numericEscape(point: number): string {
  const hex = point.toString(16);
  if (point <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return point <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
