import type { Charset } from './charset.ts';

/** Django's QueryDict: all values of each name, in order. */
export type QueryDict = Map<string, string[]>;

/** `application/x-www-form-urlencoded` and query strings, as Python's `parse_qsl(keep_blank_values=True)` reads them. */
export function parseQueryDict(bytes: Buffer, charset: Charset): QueryDict {
  const text = charset.strict(bytes) ?? bytes.toString('latin1');
  const dict: QueryDict = new Map();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = unquote(equals === -1 ? pair : pair.slice(0, equals), charset);
    const value = equals === -1 ? '' : unquote(pair.slice(equals + 1), charset);
    const values = dict.get(name);
    if (values === undefined) dict.set(name, [value]);
    else values.push(value);
  }
  return dict;
}

/** `QueryDict.get()`: the last value. */
export function lastValue(dict: QueryDict, name: string): string | undefined {
  return dict.get(name)?.at(-1);
}

/** Percent-escapes are decoded per run of ASCII, so one never joins a raw byte next to it to a character. */
function unquote(text: string, charset: Charset): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Python splits at exactly these
  return spaced.replace(/[\x00-\x7f]+/g, (run) => charset.lenient(unquoteToBytes(Buffer.from(run, 'latin1'))));
}

/** Python's `unquote_to_bytes`: a percent sign without two hex digits stays as it is. */
export function unquoteToBytes(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const high = bytes[at] === 0x25 ? hexDigit(bytes[at + 1]) : -1;
    const low = high === -1 ? -1 : hexDigit(bytes[at + 2]);
    if (low === -1) out[length++] = bytes[at] ?? 0;
    else {
      out[length++] = high * 16 + low;
      at += 2;
    }
  }
  return out.subarray(0, length);
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
