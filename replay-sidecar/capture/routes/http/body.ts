import { charsetOf } from './charset.ts';
import { type Data, formData, jsonData, NO_DATA } from './data.ts';
import { parseMultipart } from './multipart.ts';
import { type ParameterisedValue, parseParameters } from './parameters.ts';
import { parseQueryDict } from './query.ts';

/**
 * What Core makes of a request body.
 * - `object`, `list`: `request.data`; a form is an object
 * - `refused`: Core answers 400 or 415 before anything changes
 * - `unreadable`: Core may understand it, we do not
 */
export type Body =
  | { kind: 'object'; data: Data }
  | { kind: 'list'; items: readonly Data[] }
  | { kind: 'refused' }
  | { kind: 'unreadable' };

const REFUSED: Body = { kind: 'refused' };
const UNREADABLE: Body = { kind: 'unreadable' };

/** REST framework's parsers in its order of preference, which decides for a content type with a wildcard. */
const PARSERS = ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'] as const;

/**
 * Reads a body as Django REST framework does.
 *
 * @param contentType the request's header; the encoding comes from its `charset`
 */
export function readBody(bytes: Buffer, contentType: string | undefined): Body {
  if (bytes.length === 0) return { kind: 'object', data: NO_DATA };
  const type = parseParameters(contentType ?? '');
  const charset = charsetOf(type.parameters.get('charset'));
  if (charset === undefined) return UNREADABLE;
  switch (PARSERS.find((parser) => matchesMediaType(parser, type.value))) {
    case 'application/json':
      return readJson(charset.strict(bytes));
    case 'application/x-www-form-urlencoded':
      return { kind: 'object', data: formData(parseQueryDict(bytes, charset)) };
    case 'multipart/form-data':
      return readMultipart(bytes, type, charset);
    default:
      return REFUSED;
  }
}

function matchesMediaType(parser: string, type: string): boolean {
  const [mainType, subType] = parser.split('/');
  const slash = type.indexOf('/');
  const main = slash === -1 ? type : type.slice(0, slash);
  const sub = slash === -1 ? '' : type.slice(slash + 1);
  return (main === '*' || main === mainType) && (sub === '*' || sub === subType);
}

function readJson(text: string | undefined): Body {
  if (text === undefined) return REFUSED;
  try {
    const data = jsonData(text);
    if (data === undefined) return REFUSED;
    return 'object' in data ? { kind: 'object', data: data.object } : { kind: 'list', items: data.elements };
  } catch {
    // Python's parser accepts nothing that JavaScript's does not, `NaN` and `Infinity` excepted, which Core refuses.
    return REFUSED;
  }
}

function readMultipart(bytes: Buffer, type: ParameterisedValue, charset: Parameters<typeof parseMultipart>[2]): Body {
  const boundary = type.parameters.get('boundary');
  if (boundary === undefined || boundary === '') return REFUSED;
  return { kind: 'object', data: formData(parseMultipart(bytes, boundary, charset)) };
}
