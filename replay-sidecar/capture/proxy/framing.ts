import { FramingError } from './framing-error.ts';
import type { Head, ParsedRequest, ParsedResponse } from './head.ts';

/** How long a message's body is (RFC 9112, section 6.3). `untilClose` is for responses only. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'untilClose' };

const NONE: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const UNTIL_CLOSE: Framing = { kind: 'untilClose' };
const DIGITS = /^[0-9]+$/;

/**
 * The one possible reading of a request's length.
 *
 * @throws FramingError when there is more than one: both fields, a repeated field, a coding other than `chunked`
 */
export function requestFraming(request: ParsedRequest): Framing {
  const { lengths, codings } = lengthFields(request);
  if (codings !== undefined) {
    if (lengths !== undefined) throw new FramingError('lengthAndEncoding');
    const only = codings.length === 1 ? codings[0] : undefined;
    if (request.version === '1.0' || only?.toLowerCase() !== 'chunked') throw new FramingError('transferEncoding');
    return CHUNKED;
  }
  if (lengths === undefined) return NONE;
  if (lengths.length > 1) throw new FramingError('contentLength');
  return ofLength(lengths[0]);
}

/**
 * The length of the response to a request with this method. A repeated `Content-Length` is accepted when all values
 * agree, as clients do.
 *
 * @throws FramingError
 */
export function responseFraming(method: string, response: ParsedResponse): Framing {
  const { status } = response;
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE;
  const { lengths, codings } = lengthFields(response);
  if (codings !== undefined) {
    if (lengths !== undefined) throw new FramingError('lengthAndEncoding');
    const coding = codings.join(',').toLowerCase();
    if (coding === 'chunked') return CHUNKED;
    if (coding.includes('chunked')) throw new FramingError('transferEncoding');
    return UNTIL_CLOSE;
  }
  if (lengths === undefined) return UNTIL_CLOSE;
  if (lengths.some((length) => length !== lengths[0])) throw new FramingError('contentLength');
  return ofLength(lengths[0]);
}

function ofLength(digits: string | undefined): Framing {
  const length = digits !== undefined && DIGITS.test(digits) ? Number(digits) : Number.NaN;
  if (!Number.isSafeInteger(length)) throw new FramingError('contentLength');
  return length === 0 ? NONE : { kind: 'length', length };
}

interface LengthFields {
  lengths: string[] | undefined;
  codings: string[] | undefined;
}

function lengthFields(head: Head): LengthFields {
  const found: LengthFields = { lengths: undefined, codings: undefined };
  for (const field of head.fields) {
    if (field.lower === 'content-length') {
      found.lengths ??= [];
      found.lengths.push(field.value);
    } else if (field.lower === 'transfer-encoding') {
      found.codings ??= [];
      found.codings.push(field.value);
    }
  }
  return found;
}
