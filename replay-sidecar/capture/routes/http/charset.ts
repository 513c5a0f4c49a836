import { isAscii, isUtf8 } from 'node:buffer';

/** A codec as in Python. */
export interface Charset {
  /** Whether an ASCII byte stands for the same character wherever it is. */
  readonly keepsAscii: boolean;
  /** `bytes.decode()`; undefined where Python raises UnicodeDecodeError. */
  strict(bytes: Buffer): string | undefined;
  /** `bytes.decode(errors="replace")` */
  lenient(bytes: Buffer): string;
  /**
   * A whole stream through `codecs.getreader()`, as UTF-8: an incomplete last character is left out. Undefined where
   * Python raises.
   */
  stream(bytes: Buffer): Buffer | undefined;
}

// Without `ignoreBOM` the decoder would remove a byte order mark, which Python's `utf-8` keeps.
const FATAL_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LENIENT_UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

export const UTF8: Charset = {
  keepsAscii: true,
  strict: (bytes) => (isUtf8(bytes) ? FATAL_UTF8.decode(bytes) : undefined),
  lenient: (bytes) => LENIENT_UTF8.decode(bytes),
  stream(bytes) {
    if (isUtf8(bytes)) return bytes;
    const whole = bytes.subarray(0, bytes.length - incompleteUtf8(bytes));
    return whole.length < bytes.length && isUtf8(whole) ? whole : undefined;
  },
};

/** Length of an incomplete character at the end; 0 when there is none that could still be completed. */
function incompleteUtf8(bytes: Buffer): number {
  for (let length = 1; length <= 3 && length <= bytes.length; length++) {
    const lead = bytes[bytes.length - length] ?? 0;
    if (lead >= 0x80 && lead < 0xc0) continue;
    const whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
    return length < whole && completesUtf8(bytes.subarray(-length), whole) ? length : 0;
  }
  return 0;
}

/** Whether these bytes could become a character. Python treats half a surrogate as the beginning of one. */
function completesUtf8(beginning: Buffer, length: number): boolean {
  if (beginning.length === 2 && beginning[0] === 0xed) return true;
  return [0x80, 0xbf].some((byte) => isUtf8(Buffer.concat([beginning, Buffer.alloc(length - beginning.length, byte)])));
}

const latin1 = (bytes: Buffer): string => bytes.toString('latin1');

const LATIN1: Charset = {
  keepsAscii: true,
  strict: latin1,
  lenient: latin1,
  stream: (bytes) => (isAscii(bytes) ? bytes : Buffer.from(latin1(bytes))),
};

const ASCII: Charset = {
  keepsAscii: true,
  strict: (bytes) => (isAscii(bytes) ? latin1(bytes) : undefined),
  lenient(bytes) {
    if (isAscii(bytes)) return latin1(bytes);
    const units = Uint16Array.from(bytes, (byte) => (byte < 0x80 ? byte : 0xfffd));
    return Buffer.from(units.buffer).toString('utf16le');
  },
  stream: (bytes) => (isAscii(bytes) ? bytes : undefined),
};

type Utf16 = (bytes: Buffer) => { text: string; rest: number };

function utf16Charset(decode: Utf16, needsMark: boolean): Charset {
  return {
    keepsAscii: false,
    strict(bytes) {
      const { text, rest } = decode(bytes);
      return rest === 0 && text.isWellFormed() ? text : undefined;
    },
    lenient(bytes) {
      const { text, rest } = decode(bytes);
      // A byte left over behind half a pair is one error with it.
      const joined = rest === 1 && /[\ud800-\udbff]$/.test(text);
      return text.toWellFormed() + (rest === 1 && !joined ? '\ufffd' : '');
    },
    stream(bytes) {
      if (needsMark && markOf(bytes) === undefined) return undefined;
      const text = decode(bytes).text.replace(/[\ud800-\udbff]$/, '');
      return text.isWellFormed() ? Buffer.from(text) : undefined;
    },
  };
}

function markOf(bytes: Buffer): 'little' | 'big' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'little';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'big' : undefined;
}

const littleEndian: Utf16 = (bytes) => ({ text: bytes.toString('utf16le'), rest: bytes.length % 2 });

const bigEndian: Utf16 = (bytes) => {
  const even = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)));
  return { text: even.swap16().toString('utf16le'), rest: bytes.length % 2 };
};

/** Without a byte order mark `decode` takes the machine's order, and Flagsmith's machines are little-endian. */
const marked: Utf16 = (bytes) => {
  const mark = markOf(bytes);
  const content = mark === undefined ? bytes : bytes.subarray(2);
  return mark === 'big' ? bigEndian(content) : littleEndian(content);
};

/** Names of Python's codecs and their aliases (`encodings/aliases.py`), normalised; the same in all its releases. */
const CODECS: readonly [Charset, string][] = [
  [UTF8, 'utf_8 u8 utf utf8 utf8_ucs2 utf8_ucs4 cp65001'],
  [
    ASCII,
    'ascii 646 ansi_x3.4_1968 ansi_x3_4_1968 ansi_x3.4_1986 cp367 csascii ibm367 iso646_us iso_646.irv_1991 iso_ir_6 us us_ascii',
  ],
  [
    LATIN1,
    'latin_1 8859 cp819 csisolatin1 ibm819 iso8859 iso8859_1 iso_8859_1 iso_8859_1_1987 iso_ir_100 l1 latin latin1',
  ],
  [utf16Charset(marked, true), 'utf_16 u16 utf16'],
  [utf16Charset(littleEndian, false), 'utf_16_le unicodelittleunmarked utf_16le'],
  [utf16Charset(bigEndian, false), 'utf_16_be unicodebigunmarked utf_16be'],
];
const BY_NAME = new Map(CODECS.flatMap(([charset, names]) => names.split(' ').map((name) => [name, charset] as const)));
/** The codecs' own names come first; only an alias is also found with dots instead of underscores. */
const OWN_NAMES = new Set(CODECS.map(([, names]) => names.split(' ')[0]));

/**
 * The codec that Django uses for a request with this `charset` parameter. Undefined for every other label: Python may
 * have a codec for it, in one of its releases, and uses UTF-8 where it has none.
 */
export function charsetOf(label: string | undefined): Charset | undefined {
  if (label === undefined) return UTF8;
  if (!/^[\t\x20-\x7e]{1,100}$/.test(label)) return undefined;
  const name = normaliseEncoding(label);
  const alias = name.replaceAll('.', '_');
  return BY_NAME.get(name) ?? (OWN_NAMES.has(alias) ? undefined : BY_NAME.get(alias));
}

/** Python's `normalize_encoding`. */
function normaliseEncoding(label: string): string {
  return label
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '_')
    .replace(/^_|_$/g, '');
}
