import { FramingError } from './framing-error.ts';
import type { Field } from './hook.ts';
import { hasOneReading } from './target.ts';

/** A header line and where it stands in the head's text, its CRLF included. */
export interface HeadLine extends Field {
  readonly start: number;
  readonly end: number;
}

/** A head as text (latin1: one char per byte), from its first line to the empty line, both included. */
export interface Head {
  readonly text: string;
  /** Where the first header line starts. */
  readonly fieldsStart: number;
  readonly version: '1.0' | '1.1';
  readonly fields: readonly HeadLine[];
}

export interface ParsedRequest extends Head {
  readonly method: string;
  readonly target: string;
}

export interface ParsedResponse extends Head {
  readonly status: number;
}

/** Ten times gunicorn's default. Each costs more than its few bytes, so the head's size does not bound their cost. */
const MOST_FIELDS = 1_000;
/** Elements of one list, as in `Connection`. */
const MOST_ELEMENTS = 100;
/** gunicorn accepts 4,094 bytes by default and 8,190 at most. */
const LONGEST_TARGET = 64 * 1024;

const HEAD_END = Buffer.from('\r\n\r\n');
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^\x00-\x20\x7f]+) HTTP\/([0-9])\.([0-9])$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: .*)?$/s;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const NOT_IN_LINE = /[\x00\r\n]/;
const SPACE = 0x20;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;

/**
 * The offset behind the empty line that ends the head, or -1 while it has not arrived. `scanned` bytes were checked
 * before. A bare line feed is refused here already, because the end might never come behind it.
 *
 * @throws FramingError
 */
export function findHeadEnd(bytes: Buffer, scanned: number): number {
  const found = bytes.indexOf(HEAD_END, Math.max(0, scanned - 3));
  if (found >= 0) return found + HEAD_END.length;
  for (let at = bytes.indexOf(LF, scanned); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) throw new FramingError('lineEnding');
  }
  return -1;
}

/**
 * Parses what {@link findHeadEnd} found. Strict where two readers could disagree, lenient where only the API's
 * opinion counts (unknown methods, bytes above 0x7f, any number of fields).
 *
 * @throws FramingError
 */
export function parseRequest(text: string): ParsedRequest {
  const lineEnd = text.indexOf('\r\n');
  const line = text.slice(0, lineEnd);
  const match = REQUEST_LINE.exec(line);
  if (match === null) throw new FramingError(NOT_IN_LINE.test(line) ? 'lineEnding' : 'requestLine');
  const [, method = '', target = '', major, minor] = match;
  if (major !== '1' || (minor !== '0' && minor !== '1')) throw new FramingError('version');
  // A 2xx to CONNECT turns the connection into a tunnel past every check; an API has no use for it.
  if (method === 'CONNECT') throw new FramingError('method');
  if (target.length > LONGEST_TARGET) throw new FramingError('headTooLarge');
  if (!hasOneReading(method, target)) throw new FramingError('target');
  const fieldsStart = lineEnd + 2;
  return {
    text,
    method,
    target,
    version: minor === '0' ? '1.0' : '1.1',
    fieldsStart,
    fields: parseFields(text, fieldsStart),
  };
}

/** @throws FramingError */
export function parseResponse(text: string): ParsedResponse {
  const lineEnd = text.indexOf('\r\n');
  const line = text.slice(0, lineEnd);
  const match = STATUS_LINE.exec(line);
  if (match === null || NOT_IN_LINE.test(line)) throw new FramingError('statusLine');
  const fieldsStart = lineEnd + 2;
  return {
    text,
    version: match[1] === '0' ? '1.0' : '1.1',
    status: Number(match[2]),
    fieldsStart,
    fields: parseFields(text, fieldsStart),
  };
}

function parseFields(text: string, fieldsStart: number): HeadLine[] {
  const fields: HeadLine[] = [];
  const last = text.length - 2;
  for (let start = fieldsStart; start < last; ) {
    const lineEnd = text.indexOf('\r\n', start);
    if (fields.length === MOST_FIELDS) throw new FramingError('headTooLarge');
    const { name, lower, value } = parseField(text, start, lineEnd);
    fields.push({ name, lower, value, start, end: lineEnd + 2 });
    start = lineEnd + 2;
  }
  return fields;
}

/**
 * The elements of a list in all its lines, trimmed and in lower case.
 *
 * @throws FramingError when they are too many
 */
export function elementsOf(fields: readonly Field[], lower: string): string[] {
  const elements: string[] = [];
  for (const field of fields) {
    if (field.lower !== lower) continue;
    for (const element of field.value.split(',', MOST_ELEMENTS + 1)) elements.push(element.trim().toLowerCase());
    if (elements.length > MOST_ELEMENTS) throw new FramingError('headTooLarge');
  }
  return elements;
}

/**
 * One line of a header or trailer section, between `start` and `end` (its CRLF excluded).
 *
 * @throws FramingError
 */
export function parseField(text: string, start: number, end: number): Field {
  const first = text.charCodeAt(start);
  if (first === SPACE || first === TAB) throw new FramingError('foldedField');
  const colon = text.indexOf(':', start);
  const name = text.slice(start, colon < 0 || colon > end ? end : colon);
  if (NOT_IN_LINE.test(name)) throw new FramingError('lineEnding');
  if (colon < 0 || colon >= end || !TOKEN.test(name)) throw new FramingError('fieldName');
  const value = trimmed(text, colon + 1, end);
  if (NOT_IN_LINE.test(value)) throw new FramingError(value.includes('\0') ? 'fieldValue' : 'lineEnding');
  return { name, lower: name.toLowerCase(), value };
}

/** Trims only spaces and tabs: `trim()` also removes 0xa0 and vertical tabs, which belong to the value. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  for (; start < end && isBlank(text.charCodeAt(start)); start++);
  for (; end > start && isBlank(text.charCodeAt(end - 1)); end--);
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
