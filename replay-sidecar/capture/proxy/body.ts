import type { Framing } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { parseField } from './head.ts';

/** Finds a body's end in a stream of bytes; keeps none of them. */
export interface BodyFraming {
  /** The whole body was seen. */
  readonly done: boolean;
  /**
   * How many of these bytes belong to the body. `sink` gets their data, without transfer coding, as views.
   *
   * @throws FramingError
   */
  scan(bytes: Buffer, sink?: (data: Buffer) => void): number;
}

/** `refusesTrailer`: fields (by lower-case name) that must not be passed on in trailers either. */
export function createBody(framing: Framing, refusesTrailer?: (lower: string) => boolean): BodyFraming {
  if (framing.kind === 'none') return NO_BODY;
  if (framing.kind === 'length') return new SizedBody(framing.length);
  return framing.kind === 'chunked' ? new ChunkedBody(refusesTrailer) : UNTIL_CLOSE;
}

const NO_BODY: BodyFraming = { done: true, scan: () => 0 };

const UNTIL_CLOSE: BodyFraming = {
  done: false,
  scan(bytes, sink) {
    sink?.(bytes);
    return bytes.length;
  },
};

class SizedBody implements BodyFraming {
  private left: number;

  constructor(length: number) {
    this.left = length;
  }

  get done(): boolean {
    return this.left === 0;
  }

  scan(bytes: Buffer, sink?: (data: Buffer) => void): number {
    const count = Math.min(this.left, bytes.length);
    this.left -= count;
    sink?.(count === bytes.length ? bytes : bytes.subarray(0, count));
    return count;
  }
}

const LF = 0x0a;
const LONGEST_SIZE_LINE = 4096;
const LONGEST_TRAILER = 8192;
const LONGEST_TRAILER_SECTION = 64 * 1024;
/** The beginning of a size line with optional extensions, up to its CR. 13 digits stay below 2^53. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const SIZE_LINE = /^[0-9A-Fa-f]{1,13}(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r?$/;
const BARE_CR = /\r(?!$)/;
/** Fields that would change how the message is framed or routed if a reader merged trailers into the header. */
const NOT_IN_TRAILERS = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * `Transfer-Encoding: chunked`, strictly (RFC 9112, section 7.1): anything that a lenient reader could take for a line
 * end, a size or the end of the body is refused on sight, before it is passed on.
 */
class ChunkedBody implements BodyFraming {
  private state: 'size' | 'data' | 'dataEnd' | 'trailer' | 'done' = 'size';
  private left = 0;
  /** The beginning of a line whose end has not arrived. */
  private line = '';
  private trailerLength = 0;
  private readonly refusesTrailer: ((lower: string) => boolean) | undefined;

  constructor(refusesTrailer: ((lower: string) => boolean) | undefined) {
    this.refusesTrailer = refusesTrailer;
  }

  get done(): boolean {
    return this.state === 'done';
  }

  scan(bytes: Buffer, sink?: (data: Buffer) => void): number {
    let at = 0;
    while (at < bytes.length && this.state !== 'done') {
      at = this.state === 'data' ? this.scanData(bytes, at, sink) : this.scanLine(bytes, at);
    }
    return at;
  }

  private scanData(bytes: Buffer, at: number, sink?: (data: Buffer) => void): number {
    const end = Math.min(at + this.left, bytes.length);
    sink?.(bytes.subarray(at, end));
    this.left -= end - at;
    if (this.left === 0) this.state = 'dataEnd';
    return end;
  }

  private scanLine(bytes: Buffer, at: number): number {
    const lf = bytes.indexOf(LF, at);
    const complete = lf >= 0;
    this.line += bytes.toString('latin1', at, complete ? lf : bytes.length);
    this.checkLine();
    if (!complete) return bytes.length;
    if (!this.line.endsWith('\r')) throw new FramingError('lineEnding');
    const line = this.line.slice(0, -1);
    this.line = '';
    this.onLine(line);
    return lf + 1;
  }

  /** Checks a line before its end has arrived, so that no part of a bad one is passed on. */
  private checkLine(): void {
    const { line, state } = this;
    if (state === 'size') {
      if (line.length > LONGEST_SIZE_LINE || !SIZE_LINE.test(line)) throw new FramingError('chunk');
    } else if (state === 'dataEnd') {
      if (line !== '\r') throw new FramingError('chunk');
    } else {
      if (line.length > LONGEST_TRAILER) throw new FramingError('trailer');
      if (BARE_CR.test(line)) throw new FramingError('lineEnding');
    }
  }

  private onLine(line: string): void {
    if (this.state === 'size') {
      this.left = Number.parseInt(line, 16);
      this.state = this.left === 0 ? 'trailer' : 'data';
    } else if (this.state === 'dataEnd') {
      this.state = 'size';
    } else if (line === '') {
      this.state = 'done';
    } else {
      this.onTrailer(line);
    }
  }

  private onTrailer(line: string): void {
    this.trailerLength += line.length;
    const { lower } = parseField(line, 0, line.length);
    const refused = NOT_IN_TRAILERS.has(lower) || this.refusesTrailer?.(lower) === true;
    if (refused || this.trailerLength > LONGEST_TRAILER_SECTION) throw new FramingError('trailer');
  }
}
