import { UnreadableError } from '../http/unreadable.ts';

/** The kind of a value; `escaped` is a string with escapes in it. */
export const KIND = { object: 1, array: 2, string: 3, escaped: 4, number: 5, true: 6, false: 7, null: 8 } as const;

/**
 * The places of a document's values in its bytes, to a depth of {@link RECORDED_DEPTH}: four numbers for each, in the
 * order of the document, an object's members as key and value. A value's index is the number of its group of four.
 * - kind, one of {@link KIND}
 * - offset of its first byte
 * - offset behind its last byte
 * - index behind it and everything within it
 */
export type Tape = readonly number[] | Int32Array;

/** Core's serializers look no deeper: `[{"identity": {"identifier": …}}]`. */
export const RECORDED_DEPTH = 3;
/** 2 MiB of numbers. A megabyte of `traits/bulk` has about half as many values. */
const MOST_RECORDED = 128 * 1024;
/** Up to this many bytes a JavaScript array is faster, beyond that a typed one, which the collector never copies. */
const SHORT = 16 * 1024;
/** Far beyond what any release of Python reads without a RecursionError. */
const DEEPEST = 100_000;

/** Not JSON as Django REST framework accepts it; `NaN` and `Infinity` included. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

const [TAB, LF, CR, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const [QUOTE, COMMA, COLON, BACKSLASH, MINUS, PLUS, DOT] = [0x22, 0x2c, 0x3a, 0x5c, 0x2d, 0x2b, 0x2e];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** What may come next. */
type Expected = 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'commaOrEnd' | 'end';

/**
 * Reads JSON over its bytes, piece by piece, without building a tree: its syntax is checked as Python's `json` checks
 * it, and only the places of the upper values are kept.
 *
 * No library does this: streaming ones call back for each token or build each value, which takes ten times as long, and
 * none lets the caller pause within a piece.
 */
export class JsonScanner {
  private readonly bytes: Buffer;
  private at = 0;
  private expected: Expected = 'value';
  /** Whether the value that is open at each depth is an object. */
  private objects: Uint8Array = new Uint8Array(64);
  private depth = 0;
  /** Index of the open value at each recorded depth. */
  private readonly open: number[] = [];
  private entries: number[] | Int32Array;
  private count = 0;

  /** @param bytes well-formed UTF-8 */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.entries = bytes.length > SHORT ? new Int32Array(4096) : [];
  }

  /**
   * Goes on for about this many bytes. True: the document is complete.
   *
   * @throws JsonSyntaxError when it is not JSON
   * @throws UnreadableError when it has more values or levels than are read
   */
  advance(length: number): boolean {
    const { bytes } = this;
    const pause = Math.min(this.at + length, bytes.length);
    while (this.at < pause) this.step(bytes[this.at] ?? 0);
    if (this.at < bytes.length) return false;
    if (this.expected !== 'end') throw new JsonSyntaxError('the document is incomplete');
    return true;
  }

  /** The recorded values; once the document is complete. */
  get tape(): Tape {
    const { entries } = this;
    return entries instanceof Int32Array ? entries.subarray(0, 4 * this.count) : entries;
  }

  private step(byte: number): void {
    if (byte === SPACE || byte === LF || byte === CR || byte === TAB) {
      this.at += 1;
      return;
    }
    switch (this.expected) {
      case 'value':
        this.scanValue(byte);
        return;
      case 'valueOrEnd':
        if (byte === CLOSE_ARRAY) this.close();
        else this.scanValue(byte);
        return;
      case 'key':
        this.scanKey(byte);
        return;
      case 'keyOrEnd':
        if (byte === CLOSE_OBJECT) this.close();
        else this.scanKey(byte);
        return;
      case 'commaOrEnd':
        this.scanSeparator(byte);
        return;
      case 'end':
        throw new JsonSyntaxError('there is text after the document');
    }
  }

  private scanSeparator(byte: number): void {
    const inObject = this.objects[this.depth] === 1;
    if (byte === COMMA) {
      this.at += 1;
      this.expected = inObject ? 'key' : 'value';
    } else if (byte === (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
      this.close();
    } else {
      throw new JsonSyntaxError('a comma is missing');
    }
  }

  private scanKey(byte: number): void {
    if (byte !== QUOTE) throw new JsonSyntaxError('a key is not a string');
    this.scanString();
    const { bytes } = this;
    while (this.at < bytes.length && isBlank(bytes[this.at])) this.at += 1;
    if (bytes[this.at] !== COLON) throw new JsonSyntaxError('a colon is missing');
    this.at += 1;
    this.expected = 'value';
  }

  private scanValue(byte: number): void {
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      this.openValue(byte === OPEN_OBJECT);
      return;
    }
    if (byte === QUOTE) this.scanString();
    else if (byte === MINUS || isDigit(byte)) this.scanNumber();
    else if (byte === 0x74) this.scanWord('true', KIND.true);
    else if (byte === 0x66) this.scanWord('false', KIND.false);
    else if (byte === 0x6e) this.scanWord('null', KIND.null);
    else throw new JsonSyntaxError('a value is missing');
    this.expected = this.depth === 0 ? 'end' : 'commaOrEnd';
  }

  private openValue(isObject: boolean): void {
    if (this.depth <= RECORDED_DEPTH)
      this.open[this.depth] = this.record(isObject ? KIND.object : KIND.array, this.at, 0);
    this.depth += 1;
    if (this.depth > DEEPEST) throw new UnreadableError(`JSON is nested more than ${DEEPEST} levels deep`);
    if (this.depth === this.objects.length) this.objects = enlarge(this.objects, new Uint8Array(2 * this.depth));
    this.objects[this.depth] = isObject ? 1 : 0;
    this.at += 1;
    this.expected = isObject ? 'keyOrEnd' : 'valueOrEnd';
  }

  private close(): void {
    this.at += 1;
    this.depth -= 1;
    if (this.depth <= RECORDED_DEPTH) {
      const entry = 4 * (this.open[this.depth] ?? 0);
      this.entries[entry + 2] = this.at;
      this.entries[entry + 3] = this.count;
    }
    this.expected = this.depth === 0 ? 'end' : 'commaOrEnd';
  }

  private scanString(): void {
    const { bytes } = this;
    const start = this.at;
    let kind: number = KIND.string;
    let at = start + 1;
    for (; ; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) break;
      if (byte === undefined || byte < SPACE) throw new JsonSyntaxError('a string has no end, or a control character');
      if (byte === BACKSLASH) {
        kind = KIND.escaped;
        at += escapeLength(bytes, at + 1);
      }
    }
    this.at = at + 1;
    this.recordScalar(kind, start);
  }

  private scanNumber(): void {
    const { bytes } = this;
    const start = this.at;
    let at = bytes[start] === MINUS ? start + 1 : start;
    at = bytes[at] === 0x30 ? at + 1 : skipDigits(bytes, at);
    if (bytes[at] === DOT) at = skipDigits(bytes, at + 1);
    if ((bytes[at] ?? 0) === 0x65 || bytes[at] === 0x45) {
      const signed = bytes[at + 1] === PLUS || bytes[at + 1] === MINUS;
      at = skipDigits(bytes, at + (signed ? 2 : 1));
    }
    this.at = at;
    this.recordScalar(KIND.number, start);
  }

  private scanWord(word: 'true' | 'false' | 'null', kind: number): void {
    const start = this.at;
    if (this.bytes.toString('latin1', start, start + word.length) !== word)
      throw new JsonSyntaxError('a word is unknown');
    this.at = start + word.length;
    this.recordScalar(kind, start);
  }

  private recordScalar(kind: number, start: number): void {
    if (this.depth <= RECORDED_DEPTH) this.record(kind, start, this.at);
  }

  private record(kind: number, start: number, end: number): number {
    const index = this.count;
    if (index === MOST_RECORDED) throw new UnreadableError(`JSON has more than ${MOST_RECORDED} values`);
    if (this.entries instanceof Int32Array && 4 * index === this.entries.length) {
      this.entries = enlarge(this.entries, new Int32Array(8 * index));
    }
    const { entries } = this;
    entries[4 * index] = kind;
    entries[4 * index + 1] = start;
    entries[4 * index + 2] = end;
    entries[4 * index + 3] = index + 1;
    this.count = index + 1;
    return index;
  }
}

function enlarge<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** At least one. */
function skipDigits(bytes: Buffer, start: number): number {
  let at = start;
  while (isDigit(bytes[at])) at += 1;
  if (at === start) throw new JsonSyntaxError('a number lacks digits');
  return at;
}

/** Length of an escape, without its backslash. */
function escapeLength(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === 0x75) {
    for (let index = 1; index <= 4; index++) if (!isHexDigit(bytes[at + index])) refuseEscape();
    return 5;
  }
  if (byte === undefined || !SHORT_ESCAPES.includes(byte)) refuseEscape();
  return 1;
}

function refuseEscape(): never {
  throw new JsonSyntaxError('a string has an unknown escape');
}

/** `"`, `\`, `/`, `b`, `f`, `n`, `r`, `t` */
const SHORT_ESCAPES = [0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74];

function isHexDigit(byte: number | undefined): boolean {
  if (isDigit(byte)) return true;
  const lower = (byte ?? 0) | 0x20;
  return lower >= 0x61 && lower <= 0x66;
}
