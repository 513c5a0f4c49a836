import { unquoteToBytes } from './query.ts';

export interface RequestTarget {
  /** As Django's URL patterns see it: decoded, without the leading slash. */
  path: string;
  /** Undecoded, without the question mark. */
  query: string;
}

/**
 * Splits a request target (latin1, as sent) the way gunicorn and Django do: an absolute form loses its authority, a
 * fragment is cut off, the path is percent-decoded once (so `%2F` separates), a second leading slash stays. The proxy
 * refuses targets that some release of gunicorn could split differently.
 */
export function splitTarget(target: string): RequestTarget {
  const absolute = target.startsWith('/') ? null : /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#]*/.exec(target);
  let rest = absolute === null ? target : target.slice(absolute[0].length);
  const fragment = rest.indexOf('#');
  if (fragment !== -1) rest = rest.slice(0, fragment);
  const question = rest.indexOf('?');
  const path = question === -1 ? rest : rest.slice(0, question);
  const query = question === -1 ? '' : rest.slice(question + 1);
  return { path: decodePath(path.startsWith('/') ? path.slice(1) : path), query };
}

function decodePath(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: whatever is ASCII and unescaped
  if (/^[\x00-\x24\x26-\x7f]*$/.test(path)) return path;
  // Gunicorn has the path as latin1 text, and encodes that as UTF-8 before it decodes the escapes.
  return decodeBrokenUtf8(unquoteToBytes(Buffer.from(path, 'utf8')));
}

/** Django's `repercent_broken_unicode`: bytes that are not UTF-8 become escapes again. */
function decodeBrokenUtf8(bytes: Buffer): string {
  let text = '';
  let start = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += bytes.toString('utf8', start, at);
    for (const end = at - length; at < end; at++) text += `%${(bytes[at] ?? 0).toString(16).toUpperCase()}`;
    start = at;
  }
  return text + bytes.toString('utf8', start);
}

/** Length of the UTF-8 sequence at an offset; negative: of the bytes that Python reports as broken together. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let index = 1; index < length; index++) {
    const byte = bytes[at + index] ?? 0;
    const [low, high] = index === 1 ? secondByteRange(lead) : [0x80, 0xbf];
    if (byte < low || byte > high) return -index;
  }
  return length;
}

/** No overlong forms, no surrogates, nothing beyond U+10FFFF. */
function secondByteRange(lead: number): [number, number] {
  switch (lead) {
    case 0xe0:
      return [0xa0, 0xbf];
    case 0xed:
      return [0x80, 0x9f];
    case 0xf0:
      return [0x90, 0xbf];
    case 0xf4:
      return [0x80, 0x8f];
    default:
      return [0x80, 0xbf];
  }
}
