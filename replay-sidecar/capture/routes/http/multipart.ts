import type { Charset } from './charset.ts';
import { parseParameters } from './parameters.ts';
import type { QueryDict } from './query.ts';

/** Django reads a part's header within this many bytes, or not at all. */
const MAX_HEADER_BYTES = 1024;

/**
 * The fields (not the files) of a `multipart/form-data` body, as Django's MultiPartParser reads them: a boundary counts
 * wherever it stands, a part without a name or without a header is skipped.
 */
export function parseMultipart(body: Buffer, boundary: string, charset: Charset): QueryDict {
  const fields: QueryDict = new Map();
  for (const part of splitParts(body, Buffer.from(`--${boundary}`, 'latin1'))) {
    const field = readField(part, charset);
    if (field === undefined) continue;
    const values = fields.get(field.name);
    if (values === undefined) fields.set(field.name, [field.value]);
    else values.push(field.value);
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
  const headers = new Map<string, ReturnType<typeof parseParameters>>();
  for (const line of part.toString('utf8', 0, headerEnd).split('\r\n')) {
    const { value, parameters } = parseParameters(line);
    const colon = value.indexOf(':');
    if (colon !== -1) headers.set(value.slice(0, colon), { value: value.slice(colon + 1).trim(), parameters });
  }
  const parameters = headers.get('content-disposition')?.parameters;
  const name = parameters?.get('name')?.trim();
  if (name === undefined || parameters?.get('filename')) return undefined;
  const content = part.subarray(headerEnd + 4);
  const base64 = headers.get('content-transfer-encoding')?.value === 'base64';
  return { name, value: charset.lenient(base64 ? Buffer.from(content.toString('latin1'), 'base64') : content) };
}
