import type { Charset } from './charset.ts';
import { UnreadableError } from './unreadable.ts';

/** The fields of a form or a query string: the last value of each name, which is what counts for Core. */
export type FormFields = ReadonlyMap<string, FormValue>;

export interface FormValue {
  /** @throws UnreadableError when it is longer or stranger than any value that Core stores */
  readonly text: string;
}

/** Django's default limit, which Flagsmith leaves unchanged. */
const MOST_FIELDS = 1_000;
/** Longer than any name of Core's, and any value that fits a column, with every byte escaped. */
const LONGEST_NAME = 2_000;
const LONGEST_VALUE = 64 * 1024;
/** Runs of escapes; each costs up to a microsecond. */
const MOST_RUNS = 10_000;

/**
 * `application/x-www-form-urlencoded` and query strings, as Python's `parse_qsl(keep_blank_values=True)` reads them.
 *
 * @throws UnreadableError when there is more of it than can be read at once
 */
export function parseFormFields(bytes: Buffer, charset: Charset): FormFields {
  const text = charset.strict(bytes) ?? bytes.toString('latin1');
  const unquote = createUnquote(charset);
  const fields = new Map<string, FormValue>();
  let pairs = 0;
  for (let start = 0; start < text.length; ) {
    const ampersand = text.indexOf('&', start);
    const end = ampersand === -1 ? text.length : ampersand;
    pairs += 1;
    if (pairs > MOST_FIELDS) throw new UnreadableError(`a form has more than ${MOST_FIELDS} fields`);
    if (end > start) addField(fields, text.slice(start, end), unquote);
    start = end + 1;
  }
  return fields;
}

function addField(fields: Map<string, FormValue>, pair: string, unquote: Unquote): void {
  const equals = pair.indexOf('=');
  const name = equals === -1 ? pair : pair.slice(0, equals);
  if (name.length > LONGEST_NAME) throw new UnreadableError('a form has a name of more than 2,000 characters');
  const value = equals === -1 ? '' : pair.slice(equals + 1);
  fields.set(unquote(name), {
    get text() {
      if (value.length > LONGEST_VALUE) throw new UnreadableError('a form has a value of more than 64 KB');
      return unquote(value);
    },
  });
}

type Unquote = (text: string) => string;

const ASCII_ESCAPE = /^%[0-7][0-9A-Fa-f]$/;
const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python splits at exactly these
const ASCII_RUNS = /[\x00-\x7f]+/g;

/** Percent-escapes are decoded per run of ASCII, so one never joins a raw byte next to it to a character. */
function createUnquote(charset: Charset): Unquote {
  let runs = 0;
  const decodeRun = (run: string): string => {
    runs += 1;
    if (runs > MOST_RUNS) throw new UnreadableError(`a form has more than ${MOST_RUNS} runs of escapes`);
    if (charset.keepsAscii && ASCII_ESCAPE.test(run)) return String.fromCharCode(Number.parseInt(run.slice(1), 16));
    return charset.lenient(unquoteToBytes(Buffer.from(run, 'latin1')));
  };
  return (text) => {
    const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
    if (!spaced.includes('%')) return spaced;
    // The text between the escapes is the same in every charset that keeps ASCII, and separates characters.
    return spaced.replace(charset.keepsAscii ? ESCAPES : ASCII_RUNS, decodeRun);
  };
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
