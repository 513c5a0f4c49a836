import { type Dict, floatRepr, type Value } from './value.ts';

export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/** Python refuses to convert longer texts to an `int`. */
const MOST_DIGITS = 4300;

/**
 * `json.loads` as Django REST framework calls it: the last of duplicate keys wins, `1e999` is infinity, `NaN` and
 * `Infinity` are refused.
 *
 * @throws JsonError
 */
export function parseJson(text: string): Value {
  let at = 0;

  function fail(expected: string): never {
    throw new JsonError(`Expecting ${expected}: char ${at}`);
  }

  function skipSpace(): void {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
  }

  /** Consumes `token` and the space after it, if it is next. */
  function skip(token: string): boolean {
    if (!text.startsWith(token, at)) return false;
    at += token.length;
    skipSpace();
    return true;
  }

  function value(): Value {
    if (text[at] === '"') return string();
    if (skip('{')) return object();
    if (skip('[')) return array();
    if (skip('null')) return null;
    if (skip('true')) return true;
    return skip('false') ? false : number();
  }

  function string(): string {
    const start = at;
    do at = text.indexOf('"', at + 1);
    while (at > 0 && isEscaped(at));
    if (at < 0) throw new JsonError(`Unterminated string starting at: char ${start}`);
    const quoted = text.slice(start, ++at);
    skipSpace();
    try {
      return JSON.parse(quoted);
    } catch (cause) {
      throw new JsonError(`Invalid control character or escape in the string at: char ${start}`, { cause });
    }
  }

  function isEscaped(position: number): boolean {
    let slashes = 0;
    while (text[position - 1 - slashes] === '\\') slashes++;
    return slashes % 2 === 1;
  }

  function number(): number | bigint {
    NUMBER.lastIndex = at;
    const [digits, whole = '', fraction, exponent] = NUMBER.exec(text) ?? fail('value');
    at += digits.length;
    skipSpace();
    if (fraction !== undefined || exponent !== undefined) return Number(digits);
    if (whole.length > MOST_DIGITS) throw new JsonError(`Exceeds the limit (${MOST_DIGITS} digits) for integers`);
    return BigInt(digits);
  }

  function array(): Value[] {
    const items: Value[] = [];
    if (skip(']')) return items;
    do items.push(value());
    while (skip(','));
    return skip(']') ? items : fail("',' delimiter");
  }

  function object(): Dict {
    const entries: Dict = new Map();
    if (skip('}')) return entries;
    do {
      if (text[at] !== '"') fail('property name enclosed in double quotes');
      const key = string();
      if (!skip(':')) fail("':' delimiter");
      entries.set(key, value());
    } while (skip(','));
    return skip('}') ? entries : fail("',' delimiter");
  }

  skipSpace();
  const result = value();
  if (at < text.length) throw new JsonError(`Extra data: char ${at}`);
  return result;
}

const NUMBER = /-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;

/** The answer of a view: parsed values, and plain objects whose numbers are floats and whose integers bigints. */
export type Output = Value | readonly Output[] | { readonly [key: string]: Output };

/**
 * `json.dumps` as Django REST framework calls it.
 *
 * @throws RangeError on infinity and NaN, TypeError on a lone surrogate: Core answers 500 then
 */
export function renderJson(value: Output): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError('Out of range float values are not JSON compliant');
    return floatRepr(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('surrogates not allowed');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(renderJson).join(',')}]`;
  const entries = value instanceof Map ? [...value] : Object.entries(value as { [key: string]: Output });
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${renderJson(item)}`).join(',')}}`;
}
