import { UnreadableError } from './unreadable.ts';

/** A header value such as `multipart/form-data; boundary="x"`. */
export interface ParameterisedValue {
  /** Lower case. */
  value: string;
  /** Names in lower case. */
  parameters: ReadonlyMap<string, string>;
}

const BLANKS = '[ \\t]*';
const VALUE = new RegExp(`^${BLANKS}([^;="<>\\\\]*)`);
/** Nothing, or a name with a value that has neither escapes nor the quotes and brackets that some readers remove. */
const PARAMETER = new RegExp(
  `;${BLANKS}(?:([\\w!#$&+.^-]+)${BLANKS}=${BLANKS}(?:"([^"\\\\]*)"|([^\\s;"<>\\\\]*))${BLANKS})?`,
  'y',
);

/** gunicorn's default is 8,190, and the time that a value takes is many times that of its bytes. */
const LONGEST_VALUE = 16 * 1024;

/**
 * Reads a header value in the forms that all releases of Django read alike. They disagree, or follow rules that are
 * hardly documented, about escapes, stray quotes, `name*=` in other character sets, and blanks beyond ASCII.
 *
 * @throws UnreadableError when it has any other form, or is longer than any real one
 */
export function parseParameters(text: string): ParameterisedValue {
  if (text.length > LONGEST_VALUE) throw new UnreadableError('a header value has more than 16 KB');
  if (!/^[\t\x20-\x7e]*$/.test(text)) throw new UnreadableError('a header value has characters beyond printable ASCII');
  const parameters = new Map<string, string>();
  const [whole = '', value = ''] = VALUE.exec(text) ?? [];
  PARAMETER.lastIndex = whole.length;
  while (PARAMETER.lastIndex < text.length) {
    const match = PARAMETER.exec(text);
    if (match === null) throw new UnreadableError('a header value has a parameter in an unusual form');
    const name = match[1]?.toLowerCase();
    if (name === undefined) continue;
    if (parameters.has(name)) throw new UnreadableError('a header value has a parameter twice');
    parameters.set(name, match[2] ?? match[3] ?? '');
  }
  return { value: value.trim().toLowerCase(), parameters };
}
