import { JsonError, parseJson } from '../python/json.ts';
import type { Value } from '../python/value.ts';
import { detail, HttpError } from './errors.ts';

/** A parsed body: a JSON value, or the fields of a form, of which URLSearchParams keeps order and duplicates. */
export type Input = Value | URLSearchParams;

/** A form with its files' contents by field. */
export class Form extends URLSearchParams {
  readonly files = new Map<string, string>();
}

/**
 * Parses the request's data by its content type, like Django REST framework's three parsers.
 *
 * @throws HttpError 400 for invalid data, 415 for another content type
 */
export async function parseBody(body: Buffer, contentType: string): Promise<Input> {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase();
  const isForm = type === 'application/x-www-form-urlencoded' || type === 'multipart/form-data';
  if (body.length === 0) return isForm ? new URLSearchParams() : new Map();
  if (type === 'application/json') return json(body, contentType);
  if (type === 'application/x-www-form-urlencoded') return form(body.toString('latin1'), contentType);
  if (type === 'multipart/form-data') return multipart(body, contentType);
  throw new HttpError(415, detail(`Unsupported media type "${contentType}" in request.`));
}

/** The fields of a query string or URL-encoded body; the body's charset applies to both. */
export function form(text: string, contentType: string): URLSearchParams {
  const decode = (part: string) => decoderOf(contentType, false)(percentDecoded(part));
  const fields = text.split('&').filter((field) => field !== '');
  return new URLSearchParams(
    fields.map((field): [string, string] => {
      const [name = '', ...value] = field.split('=');
      return [decode(name), decode(value.join('='))];
    }),
  );
}

function percentDecoded(text: string): Buffer {
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

function json(body: Buffer, contentType: string): Value {
  try {
    return parseJson(decoderOf(contentType, true)(body));
  } catch (cause) {
    if (cause instanceof JsonError || cause instanceof TypeError) {
      throw new HttpError(400, detail(`JSON parse error - ${cause.message}`));
    }
    throw cause;
  }
}

async function multipart(body: Buffer, contentType: string): Promise<Form> {
  try {
    const fields = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
    const result = new Form();
    for (const [name, value] of fields) {
      if (typeof value === 'string') result.append(name, value);
      else result.files.set(name, await value.text());
    }
    return result;
  } catch (cause) {
    throw new HttpError(400, detail(`Multipart form parse error - ${(cause as Error).message}`));
  }
}

/** Decodes with the charset of the content type, if Python knows it. */
function decoderOf(contentType: string, fatal: boolean): (bytes: Buffer) => string {
  const [, name = 'utf-8'] = /;\s*charset="?([^";\s]+)/i.exec(contentType) ?? [];
  // TextDecoder treats Latin-1 as Windows-1252.
  if (/^(latin[-_]?1|iso-?8859-1)$/i.test(name)) return (bytes) => bytes.toString('latin1');
  let label = 'utf-8';
  try {
    label = new TextDecoder(name).encoding;
  } catch {
    // Django continues with its default.
  }
  return (bytes) => new TextDecoder(label, { fatal, ignoreBOM: true }).decode(bytes);
}
