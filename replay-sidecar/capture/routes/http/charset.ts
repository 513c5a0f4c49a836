/** A codec as Python has it; `strict` answers undefined where Python raises UnicodeDecodeError. */
export interface Charset {
  strict(bytes: Uint8Array): string | undefined;
  /** `errors="replace"` */
  lenient(bytes: Uint8Array): string;
}

/** `TextDecoder` differs from Python's codecs in the byte order mark, which Python's `utf-8` keeps. */
function fromTextDecoder(label: string, ignoreBOM: boolean): Charset {
  const fatal = new TextDecoder(label, { fatal: true, ignoreBOM });
  const replacing = new TextDecoder(label, { ignoreBOM });
  return {
    strict(bytes) {
      try {
        return fatal.decode(bytes);
      } catch {
        return undefined;
      }
    },
    lenient: (bytes) => replacing.decode(bytes),
  };
}

export const UTF8 = fromTextDecoder('utf-8', true);

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

const LATIN1: Charset = { strict: latin1, lenient: latin1 };
const ASCII: Charset = {
  strict: (bytes) => (bytes.every((byte) => byte < 0x80) ? latin1(bytes) : undefined),
  lenient: (bytes) => latin1(bytes).replace(/[\x80-\xff]/g, '\ufffd'),
};

const LATIN1_NAMES =
  /^(?:iso_?8859(?:_1)?|iso_8859_1_1987|iso_ir_100|8859|cp819|ibm819|csisolatin1|l1|latin|latin_?1)$/;
const ASCII_NAMES = /^(?:us_?ascii|ascii|646|us|cp367|ibm367|iso646_us|iso_ir_6|csascii|ansi_x3[._]4_19(?:68|86))$/;
const UTF8_NAMES = /^(?:utf_?8|u8|utf|utf8_ucs[24]|cp65001)$/;
/** Codecs of Python that are neither ASCII-compatible nor worth having; a body in one is not understood. */
const UNREADABLE =
  /^(?:utf_?7|u7|utf_?32.*|u32|cp(?:037|273|424|500|875|1026|1140)|ibm(?:037|039|273|424|500|1026|1140)|ebcdic.*|hz.*|iso_?2022.*|csiso2022.*|idna|punycode|(?:raw_)?unicode_escape|undefined|base_?64.*|bz2.*|hex.*|quopri.*|quoted_printable|rot_?13|uu|uu_codec|zip|zlib.*)$/;

/**
 * The codec that Django takes for a request with this `charset` parameter; a name that Python does not know is
 * ignored. Undefined: Python has the codec, we do not.
 */
export function charsetOf(label: string | undefined): Charset | undefined {
  if (label === undefined) return UTF8;
  const name = label.toLowerCase().replaceAll(/[- ]/g, '_');
  if (UTF8_NAMES.test(name)) return UTF8;
  if (LATIN1_NAMES.test(name)) return LATIN1;
  if (ASCII_NAMES.test(name)) return ASCII;
  if (UNREADABLE.test(name)) return undefined;
  if (/^utf_?8_sig$/.test(name)) return fromTextDecoder('utf-8', false);
  if (/^(?:utf_?16|u16)$/.test(name)) return UTF16;
  if (/^utf_?16_?(?:le|be)$/.test(name)) return fromTextDecoder(name.endsWith('be') ? 'utf-16be' : 'utf-16le', true);
  return byLabel(label);
}

/** Without a byte order mark Python takes the machine's order, and Flagsmith's machines are little-endian. */
const UTF16: Charset = {
  strict: (bytes) => utf16(bytes).strict(bytes),
  lenient: (bytes) => utf16(bytes).lenient(bytes),
};

function utf16(bytes: Uint8Array): Charset {
  return fromTextDecoder(bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-16le', false);
}

function byLabel(label: string): Charset {
  try {
    return fromTextDecoder(label.replaceAll('_', '-'), true);
  } catch {
    return UTF8;
  }
}
