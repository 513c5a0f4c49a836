/** A header value such as `multipart/form-data; boundary="x"`, as Django's `parse_header_parameters` reads it. */
export interface ParameterisedValue {
  /** Lower case. */
  value: string;
  /** Names in lower case; the last one of a name counts. */
  parameters: Map<string, string>;
}

export function parseParameters(text: string): ParameterisedValue {
  const [value = '', ...rest] = splitOutsideQuotes(text);
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf('=');
    if (equals === -1) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    parameters.set(name.replace(/\*$/, ''), parameterValue(part.slice(equals + 1).trim(), name.endsWith('*')));
  }
  return { value: value.trim().toLowerCase(), parameters };
}

function parameterValue(text: string, extended: boolean): string {
  const quoted = text.length >= 2 && text.startsWith('"') && text.endsWith('"');
  const value = quoted ? text.slice(1, -1).replaceAll('\\\\', '\\').replaceAll('\\"', '"') : text;
  const encoded = extended ? /^[^']*'[^']*'([^']*)$/.exec(value) : null;
  return encoded === null ? value : decodeEscapes(encoded[1] ?? '');
}

function decodeEscapes(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function splitOutsideQuotes(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"' && text[at - 1] !== '\\') quoted = !quoted;
    if (text[at] !== ';' || quoted) continue;
    parts.push(text.slice(start, at));
    start = at + 1;
  }
  parts.push(text.slice(start));
  return parts;
}
