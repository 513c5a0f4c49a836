/**
 * A reader of HTTP/1.1 that shares no code with the proxy, with the many known ways in which servers read
 * ambiguous messages. The ordinary reading decides where messages end; the fuzzer checks the proxy's output with all.
 */
export interface Reading {
  readonly name: string;
  /** A line feed alone ends a line. */
  readonly bareLf: boolean;
  /** A carriage return alone ends a line. */
  readonly bareCr: boolean;
  /** With both fields: which one takes precedence. */
  readonly prefer: 'chunked' | 'length';
  readonly lengthField: 'first' | 'last';
  /** `exact`: `chunked` alone; `contains`: anywhere in the value. */
  readonly coding: 'exact' | 'contains';
  /** `name : value` counts as `name`. */
  readonly spaceBeforeColon: boolean;
  /** `strict`: hexadecimal digits; `prefix`: as many as there are, spaces and signs and `0x` before them. */
  readonly chunkSize: 'strict' | 'prefix';
  /** Lines that start with white space: part of the line before, or ordinary lines. */
  readonly folded: 'join' | 'line';
}

export const ORDINARY: Reading = {
  name: 'ordinary',
  bareLf: false,
  bareCr: false,
  prefer: 'chunked',
  lengthField: 'first',
  coding: 'exact',
  spaceBeforeColon: false,
  chunkSize: 'strict',
  folded: 'join',
};

export const READINGS: readonly Reading[] = [
  ORDINARY,
  { ...ORDINARY, name: 'length first', prefer: 'length' },
  { ...ORDINARY, name: 'last length', prefer: 'length', lengthField: 'last' },
  { ...ORDINARY, name: 'bare line feeds', bareLf: true },
  { ...ORDINARY, name: 'bare carriage returns', bareLf: true, bareCr: true },
  { ...ORDINARY, name: 'chunked anywhere', coding: 'contains' },
  { ...ORDINARY, name: 'space before colon', spaceBeforeColon: true },
  { ...ORDINARY, name: 'lenient sizes', chunkSize: 'prefix' },
  { ...ORDINARY, name: 'folded lines alone', folded: 'line' },
  {
    name: 'all lenient',
    bareLf: true,
    bareCr: false,
    prefer: 'length',
    lengthField: 'last',
    coding: 'contains',
    spaceBeforeColon: true,
    chunkSize: 'prefix',
    folded: 'line',
  },
];

export interface Message {
  readonly start: number;
  readonly headEnd: number;
  readonly end: number;
  readonly firstLine: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Transfer coding removed. */
  readonly body: string;
  readonly trailers: readonly string[];
}

/** The end of a message without its own framing: nothing follows (requests), or the connection's end (responses). */
export type Unframed = 'empty' | 'untilClose' | 'interim';

/**
 * The complete messages at the beginning of `text` (latin1). `unframed` is asked about messages without a length;
 * `ended`: no more will come.
 */
export function readMessages(
  text: string,
  reading: Reading,
  unframed: (firstLine: string, index: number) => Unframed,
  ended: boolean,
): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < text.length; ) {
    const message = readMessage(text, at, reading, (line) => unframed(line, messages.length), ended);
    if (message === undefined) break;
    messages.push(message);
    at = message.end;
  }
  return messages;
}

export function readRequests(text: string, reading: Reading = ORDINARY): Message[] {
  return readMessages(text, reading, () => 'empty', false);
}

/** `methods`: those of the requests in order; interim responses do not count. */
export function readResponses(text: string, methods: readonly string[], ended: boolean): Message[] {
  let answered = 0;
  return readMessages(
    text,
    ORDINARY,
    (line) => {
      const status = Number(line.split(' ')[1]);
      if (status < 200) return 'interim';
      const method = methods[answered++];
      return method === 'HEAD' || status === 204 || status === 304 ? 'interim' : 'untilClose';
    },
    ended,
  );
}

function readMessage(
  text: string,
  start: number,
  reading: Reading,
  unframed: (firstLine: string) => Unframed,
  ended: boolean,
): Message | undefined {
  let at = start;
  const lines: string[] = [];
  for (;;) {
    const line = readLine(text, at, reading);
    if (line === undefined) return undefined;
    at = line.next;
    if (line.text === '' && lines.length > 0) break;
    if (line.text !== '') lines.push(line.text);
  }
  const [firstLine = '', ...rest] = lines;
  const fields = readFields(rest, reading);
  const head = { start, headEnd: at, firstLine, fields };
  const bodiless = unframed(firstLine);
  if (bodiless === 'interim') return { ...head, end: at, body: '', trailers: [] };
  const values = (name: string) => fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);
  const coding = values('transfer-encoding').join(', ').toLowerCase();
  const chunked = reading.coding === 'exact' ? coding === 'chunked' : coding.includes('chunked');
  const lengths = values('content-length');
  const length = reading.lengthField === 'first' ? lengths[0] : lengths.at(-1);
  if (chunked && (reading.prefer === 'chunked' || length === undefined)) return readChunked(text, at, reading, head);
  if (length !== undefined) {
    const end = at + (Number.parseInt(length, 10) || 0);
    return end > text.length ? undefined : { ...head, end, body: text.slice(at, end), trailers: [] };
  }
  if (bodiless === 'empty') return { ...head, end: at, body: '', trailers: [] };
  return ended ? { ...head, end: text.length, body: text.slice(at), trailers: [] } : undefined;
}

function readChunked(
  text: string,
  bodyStart: number,
  reading: Reading,
  head: Omit<Message, 'end' | 'body' | 'trailers'>,
): Message | undefined {
  let at = bodyStart;
  let body = '';
  for (;;) {
    const line = readLine(text, at, reading);
    if (line === undefined) return undefined;
    const size = chunkSize(line.text, reading);
    at = line.next;
    if (size === 0) break;
    body += text.slice(at, at + size);
    at += size;
    const end = readLine(text, at, reading);
    if (end === undefined) return undefined;
    at = end.next;
  }
  const trailers: string[] = [];
  for (;;) {
    const line = readLine(text, at, reading);
    if (line === undefined) return undefined;
    at = line.next;
    if (line.text === '') return { ...head, end: at, body, trailers };
    trailers.push(line.text);
  }
}

function chunkSize(line: string, reading: Reading): number {
  const digits =
    reading.chunkSize === 'strict' ? /^[0-9a-f]+/i.exec(line)?.[0] : /^[ \t+]*(?:0x)?([0-9a-f]*)/i.exec(line)?.[1];
  return Number.parseInt(digits === undefined || digits === '' ? '0' : digits, 16);
}

function readFields(lines: readonly string[], reading: Reading): [string, string][] {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const previous = fields.at(-1);
    if (/^[ \t]/.test(line) && reading.folded === 'join' && previous !== undefined) {
      previous[1] += ` ${line.trim()}`;
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, colon < 0 ? line.length : colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
    fields.push([reading.spaceBeforeColon || reading.folded === 'line' ? name.trim() : name, value]);
  }
  return fields;
}

function readLine(text: string, start: number, reading: Reading): { text: string; next: number } | undefined {
  for (let at = start; at < text.length; at += 1) {
    const isLf = text[at] === '\n';
    const isCrLf = text[at] === '\r' && text[at + 1] === '\n';
    if (isCrLf) return { text: text.slice(start, at), next: at + 2 };
    if (isLf && reading.bareLf) return { text: text.slice(start, at), next: at + 1 };
    if (text[at] === '\r' && reading.bareCr && at + 1 < text.length)
      return { text: text.slice(start, at), next: at + 1 };
  }
  return undefined;
}
