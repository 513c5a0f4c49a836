/**
 * A value as Python holds it after parsing JSON: `int` is bigint and `float` is number, because Core treats `2` and
 * `2.0` differently; `dict` is a Map, because it keeps the order of its keys.
 */
export type Value = null | boolean | bigint | number | string | Value[] | Dict;
export type Dict = Map<string, Value>;

/** `type(value).__name__` */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  return { boolean: 'bool', bigint: 'int', number: 'float', string: 'str' }[typeof value as 'boolean'];
}

/** `str(value)` */
export function str(value: Value): string {
  return typeof value === 'string' ? value : repr(value);
}

/** `repr(value)`: what Core stores for a trait value that is a list or an object. */
export function repr(value: Value): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`;
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(', ')}}`;
  if (typeof value === 'string') return stringRepr(value);
  if (typeof value === 'number') return floatRepr(value);
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
}

/** The same shortest digits as JavaScript, but always with a point or an exponent, and other limits for the latter. */
export function floatRepr(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const [mantissa = '', exponentText = '0'] = Math.abs(value).toExponential().split('e');
  const exponent = Number(exponentText);
  const digits = mantissa.replace('.', '');
  if (exponent < -4 || exponent >= 16) {
    const magnitude = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${magnitude}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

/** `str.strip()`: unlike `trim()` it strips U+001C to U+001F and U+0085 and keeps U+FEFF. */
export function strip(text: string): string {
  return text.replace(LEADING_SPACE, '').replace(TRAILING_SPACE, '');
}

/** `int(text)`, which accepts surrounding space, underscores and the digits of every script. */
export function pythonInt(text: string): bigint | undefined {
  const digits = strip(text).replace(/\p{Nd}/gu, decimalDigit);
  return /^[+-]?\d+(_\d+)*$/.test(digits) ? BigInt(digits.replaceAll(/[+_]/g, '')) : undefined;
}

/** The digits of a script are consecutive, starting with its zero. */
function decimalDigit(character: string): string {
  let zero = character.codePointAt(0)!;
  const start = zero;
  while (start - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  return String(start - zero);
}

/** Length in Python, in code points. */
export function codePoints(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const LEADING_SPACE = new RegExp(`^${SPACE}`);
const TRAILING_SPACE = new RegExp(`${SPACE}$`);

/** Every character that is not printable in Python, and the backslash. */
const ESCAPED = /[\p{C}\p{Z}\\]/gu;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\', ' ': ' ' };

function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(ESCAPED, (character) => SHORT[character] ?? numericEscape(character.codePointAt(0)!));
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

function numericEscape(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
