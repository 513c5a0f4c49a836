import type { Charset } from './charset.ts';
import { parseParameters } from './parameters.ts';
import type { FormFields, FormValue } from './query.ts';
import { UnreadableError } from './unreadable.ts';

/** Django searches for the end of a part's header within this many bytes. */
const MAX_HEADER_BYTES = 1024;
/** Django's limit, including the parts before and after the fields. */
const MOST_PARTS = 1_002;
/** The beginning of a header line that cannot be taken for another header. */
const HEADER_NAME = /^([A-Za-z0-9-]+):/;

/**
 * The fields of a `multipart/form-data` body, as Django's MultiPartParser reads them: a boundary counts anywhere, a
 * part without a name or without a header is skipped.
 *
 * @throws UnreadableError for files, for headers in forms other than the plain ones that all releases read alike, for a
 * character set that does not keep ASCII, and for a long part that is skipped, because Django may go on within it
 */
export function parseMultipart(body: Buffer, boundary: string, charset: Charset): FormFields {
  if (!charset.keepsAscii) throw new UnreadableError('a multipart body is in a character set that does not keep ASCII');
  const fields = new Map<string, FormValue>();
  let parts = 0;
  for (const part of splitParts(body, Buffer.from(`--${boundary}`, 'latin1'))) {
    parts += 1;
    if (parts > MOST_PARTS) throw new UnreadableError(`a multipart body has more than ${MOST_PARTS} parts`);
    const field = readField(part, charset);
    if (field !== undefined) fields.set(field.name, { text: field.value });
    else if (part.length >= MAX_HEADER_BYTES)
      throw new UnreadableError('a multipart body has a long part without a name');
  }
  return fields;
}

function* splitParts(body: Buffer, separator: Buffer): Generator<Buffer> {
  let start = 0;
  while (start < body.length) {
    const index = body.indexOf(separator, start);
    const end = index === -1 ? body.length : index;
    yield body.subarray(start, index === -1 ? end : withoutLineEnd(body, start, end));
    start = end + separator.length;
  }
}

function withoutLineEnd(body: Buffer, start: number, end: number): number {
  let to = end;
  if (to > start && body[to - 1] === 0x0a) to--;
  if (to > start && body[to - 1] === 0x0d) to--;
  return to;
}

function readField(part: Buffer, charset: Charset): { name: string; value: string } | undefined {
  const headerEnd = part.subarray(0, MAX_HEADER_BYTES).indexOf('\r\n\r\n');
  if (headerEnd === -1) return undefined;
  const headers = readHeaders(part.toString('latin1', 0, headerEnd));
  const disposition = headers.get('content-disposition');
  if (disposition === undefined) return undefined;
  if (disposition.parameters.get('filename')) throw new UnreadableError('a multipart body has a file');
  const name = disposition.parameters.get('name')?.trim();
  if (name === undefined) return undefined;
  const content = part.subarray(headerEnd + 4);
  const base64 = headers.get('content-transfer-encoding')?.value === 'base64';
  return { name, value: charset.lenient(base64 ? decodeBase64(content) : content) };
}

type Headers = Map<string, ReturnType<typeof parseParameters>>;

/** The headers that decide; to Django a line without a colon is not a header. */
function readHeaders(text: string): Headers {
  const headers: Headers = new Map();
  for (const line of text.split('\r\n')) {
    if (!line.includes(':')) continue;
    const match = HEADER_NAME.exec(line);
    if (match === null) throw new UnreadableError('a multipart body has a header in an unusual form');
    const name = (match[1] ?? '').toLowerCase();
    if (name !== 'content-disposition' && name !== 'content-transfer-encoding') continue;
    if (headers.has(name)) throw new UnreadableError('a multipart body has a header twice');
    headers.set(name, parseParameters(line.slice(match[0].length)));
  }
  return headers;
}

/** Python skips everything outside the alphabet, and returns the text unchanged when the padding is wrong. */
function decodeBase64(content: Buffer): Buffer {
  const text = content.toString('latin1').replace(/[\r\n\t ]+/g, '');
  const canonical = /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  if (!canonical) throw new UnreadableError('a multipart body has base64 in an unusual form');
  return Buffer.from(text, 'base64');
}
