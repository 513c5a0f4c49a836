import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';

import { JsonScanner, JsonSyntaxError } from '../python/json-scanner.ts';
import { type Charset, charsetOf } from './charset.ts';
import type { Data } from './data.ts';
import { formData, NO_DATA } from './form-data.ts';
import { jsonData } from './json-data.ts';
import { parseMultipart } from './multipart.ts';
import { type ParameterisedValue, parseParameters } from './parameters.ts';
import { parseFormFields } from './query.ts';
import { takeTurn } from './turns.ts';
import { UnreadableError } from './unreadable.ts';

/**
 * Core's reading of a request body.
 * - `object`, `list`: `request.data`; a form is an object. `longest`: elements of the longest list in it
 * - `refused`: Core answers 400 or 415 before anything changes
 * - `unreadable`: Core may understand it, we do not
 */
export type ParsedBody =
  | { kind: 'object'; data: Data; longest?: number }
  | { kind: 'list'; items: readonly Data[] }
  | { kind: 'refused' }
  | { kind: 'unreadable' };

const REFUSED: ParsedBody = { kind: 'refused' };
const UNREADABLE: ParsedBody = { kind: 'unreadable' };

/** REST framework's parsers in its order of preference, which decides for a content type with a wildcard. */
const PARSERS = ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'] as const;

/** Bytes of JSON that are read without a pause: less than a millisecond, which blocks the process. */
const SLICE = 64 * 1024;
/** Far longer than a body takes alone. By then the request has gone on, and no longer waits for its events. */
const LONGEST_MS = 10_000;

/**
 * Reads a body as Django REST framework does. A long one is read in slices, in turn with others; one that takes too
 * long is unreadable.
 *
 * @param contentType the request's header; the encoding comes from its `charset`
 */
export function parseBody(
  bytes: Buffer,
  contentType: string | undefined,
  clock?: Clock,
): ParsedBody | Promise<ParsedBody> {
  if (bytes.length === 0) return { kind: 'object', data: NO_DATA };
  return guarded<ParsedBody | Promise<ParsedBody>>(() => {
    const type = parseParameters(contentType ?? '');
    const charset = charsetOf(type.parameters.get('charset'));
    if (charset === undefined) return UNREADABLE;
    switch (PARSERS.find((parser) => matchesMediaType(parser, type.value))) {
      case 'application/json':
        return readJson(charset.stream(bytes), clock);
      case 'application/x-www-form-urlencoded':
        return { kind: 'object', data: formData(parseFormFields(bytes, charset)) };
      case 'multipart/form-data':
        return readMultipart(bytes, contentType ?? '', type, charset);
      default:
        return REFUSED;
    }
  });
}

function guarded<T>(read: () => T): T | ParsedBody {
  try {
    return read();
  } catch (error) {
    if (error instanceof JsonSyntaxError) return REFUSED;
    if (error instanceof UnreadableError) return UNREADABLE;
    throw error;
  }
}

function matchesMediaType(parser: string, type: string): boolean {
  const [mainType, subType] = parser.split('/');
  const slash = type.indexOf('/');
  const main = slash === -1 ? type : type.slice(0, slash);
  const sub = slash === -1 ? '' : type.slice(slash + 1);
  return (main === '*' || main === mainType) && (sub === '*' || sub === subType);
}

function readJson(bytes: Buffer | undefined, clock: Clock = systemClock): ParsedBody | Promise<ParsedBody> {
  if (bytes === undefined) return REFUSED;
  const scanner = new JsonScanner(bytes);
  if (bytes.length > SLICE) return readSlices(scanner, bytes, clock);
  scanner.advance(bytes.length);
  return jsonBody(bytes, scanner);
}

async function readSlices(scanner: JsonScanner, bytes: Buffer, clock: Clock): Promise<ParsedBody> {
  const began = clock.monotonic();
  for (;;) {
    await takeTurn();
    if (clock.monotonic() - began > LONGEST_MS) return UNREADABLE;
    const body = guarded(() => (scanner.advance(SLICE) ? jsonBody(bytes, scanner) : undefined));
    if (body !== undefined) return body;
  }
}

function jsonBody(bytes: Buffer, scanner: JsonScanner): ParsedBody {
  return jsonData(bytes, scanner.tape) ?? REFUSED;
}

/** Django compares the beginning of the header as it was sent, and accepts few characters in a boundary. */
function readMultipart(bytes: Buffer, header: string, type: ParameterisedValue, charset: Charset): ParsedBody {
  const boundary = type.parameters.get('boundary') ?? '';
  if (!header.startsWith('multipart/') || !/^[ -~]{0,200}[!-~]$/.test(boundary)) return REFUSED;
  return { kind: 'object', data: formData(parseMultipart(bytes, boundary, charset)) };
}
