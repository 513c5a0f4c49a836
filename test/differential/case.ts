/** A request as bytes on the wire, in parts that can be shrunk one by one. All text is latin1. */
export interface Case {
  readonly method: string;
  readonly target: string;
  /** The text after the target: ` HTTP/1.1` unless the case concerns it. */
  readonly version: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** `length`, `chunked`: the matching field is added; `none`: neither is, even with a body. */
  readonly framing: 'length' | 'chunked' | 'none';
  /** The raw bytes, which override the rest. */
  readonly raw?: string;
}

export const VERSION = 'HTTP/1.1';
export const KEY: Case['fields'][number] = ['X-Environment-Key', 'client-key'];
export const TOKEN: Case['fields'][number] = ['Authorization', 'Token admin-token'];
export const SESSION: Case['fields'][number] = ['Cookie', 'sessionid=staff'];
export const JSON_TYPE: Case['fields'][number] = ['Content-Type', 'application/json'];
export const FORM_TYPE: Case['fields'][number] = ['Content-Type', 'application/x-www-form-urlencoded'];

/** A request with the usual fields; `body` is text, encoded as UTF-8. */
export function request(line: string, fields: Case['fields'] = [KEY, JSON_TYPE], body = ''): Case {
  const space = line.indexOf(' ');
  const encoded = Buffer.from(body).toString('latin1');
  const [method, target] = [line.slice(0, space), line.slice(space + 1)];
  return { method, target, version: VERSION, fields, body: encoded, framing: body === '' ? 'none' : 'length' };
}

/** The bytes of a case. The server closes the connection. */
export function render({ method, target, version, fields, body, framing, raw }: Case): Buffer {
  if (raw !== undefined) return Buffer.from(raw, 'latin1');
  const names = new Set(fields.map(([name]) => name.toLowerCase()));
  const lines = [`${method} ${target} ${version}`];
  if (!names.has('host')) lines.push('Host: flags.example');
  if (!names.has('connection')) lines.push('Connection: close');
  for (const [name, value] of fields) lines.push(`${name}: ${value}`);
  if (framing === 'length') lines.push(`Content-Length: ${body.length}`);
  if (framing === 'chunked') lines.push('Transfer-Encoding: chunked');
  const content = framing === 'chunked' ? chunks(body) : body;
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${content}`, 'latin1');
}

function chunks(body: string): string {
  const half = Math.ceil(body.length / 2);
  const pieces = [body.slice(0, half), body.slice(half)].filter((piece) => piece !== '');
  return [...pieces, ''].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
}

/** A case for a reader. */
export function show(one: Case): string {
  const bytes = render(one).toString('latin1');
  return JSON.stringify(bytes.length > 1500 ? `${bytes.slice(0, 1500)}… (${bytes.length} bytes)` : bytes);
}
