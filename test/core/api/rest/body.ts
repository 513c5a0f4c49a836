import { JsonError, parseJson } from '../python/json.ts';
import type { Value } from '../python/value.ts';
import { detail, HttpError } from './errors.ts';

/** A parsed body: JSON's value, or the fields of a form, of which URLSearchParams keeps order and duplicates. */
export type Input = Value | URLSearchParams;

/**
 * The request's data by its content type, as Django REST framework's three parsers read it.
 *
 * @throws HttpError 400 for what does not parse, 415 for another content type
 */
export async function parseBody(body: Buffer, contentType: string): Promise<Input> {
  const [mediaType = '', ...parameters] = contentType.split(';').map((part) => part.trim());
  const type = mediaType.toLowerCase();
  const isForm = type === 'application/x-www-form-urlencoded' || type === 'multipart/form-data';
  if (body.length === 0) return isForm ? new URLSearchParams() : new Map();
  if (type === 'application/json') return json(body, charset(parameters));
  if (type === 'application/x-www-form-urlencoded') return form(new TextDecoder('latin1').decode(body));
  if (type === 'multipart/form-data') return multipart(body, contentType);
  throw new HttpError(415, detail(`Unsupported media type "${contentType}" in request.`));
}

/** The fields of a query string or URL-encoded body. */
export function form(text: string): URLSearchParams {
  return new URLSearchParams(`?${text}`);
}

function json(body: Buffer, encoding: string): Value {
  try {
    return parseJson(new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(body));
  } catch (cause) {
    if (cause instanceof JsonError || cause instanceof TypeError) {
      throw new HttpError(400, detail(`JSON parse error - ${cause.message}`));
    }
    throw cause;
  }
}

async function multipart(body: Buffer, contentType: string): Promise<URLSearchParams> {
  try {
    const fields = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
    return new URLSearchParams([...fields].filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch (cause) {
    throw new HttpError(400, detail(`Multipart form parse error - ${(cause as Error).message}`));
  }
}

function charset(parameters: readonly string[]): string {
  const name = parameters.find((parameter) => /^charset=/i.test(parameter))?.slice('charset='.length);
  const label = name?.replace(/^"(.*)"$/, '$1') ?? 'utf-8';
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return 'utf-8';
  }
}
