import fc from 'fast-check';

/** A hostile API's behaviour for one request. `TOKEN` in the bytes stands for the request's target. */
export interface Hostility {
  readonly name: string;
  readonly bytes: string;
  /** Where the bytes are cut into separately sent pieces, as fractions of the whole. */
  readonly cuts: readonly number[];
  /** Unasked bytes after the answer. */
  readonly unasked: string;
  readonly connection: 'keep' | 'end' | 'reset';
}

/** As long as every target, so that lengths are right before it is replaced. */
export const TOKEN = '/TOKEN--';
const TAG = `X-Token: ${TOKEN}\r\n`;
const head = (first: string, ...lines: string[]) =>
  `${first}\r\n${TAG}${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const BODY = `[${TOKEN}]`;
const OK = 'HTTP/1.1 200 OK';
const CHUNK = `a\r\n${BODY}\r\n`;
const sized = (more = 0) => head(OK, `Content-Length: ${BODY.length + more}`) + BODY;
const chunked = (...rest: string[]) => head(OK, 'Transfer-Encoding: chunked') + CHUNK + rest.join('');

/** Ways to answer that keep the connection usable. */
const CORRECT: readonly (readonly [name: string, bytes: string])[] = [
  ['a length', sized()],
  ['chunks', chunked('0\r\n\r\n')],
  ['chunks and trailers', chunked(`0\r\nX-Trailer: ${TOKEN}\r\n\r\n`)],
  ['interim answers first', `${head('HTTP/1.1 103 Early Hints').repeat(3)}${sized()}`],
  ['an empty answer', head('HTTP/1.1 204 No Content')],
];

/** Bytes after a correct answer, or without any request. */
const UNASKED: readonly (readonly [name: string, bytes: string])[] = [
  ['a second answer', sized()],
  ['a byte', 'x'],
  ['an empty line', '\r\n'],
  ['half a head', `HTTP/1.1 200 OK\r\n${TAG}`],
  ['an interim answer', head('HTTP/1.1 100 Continue')],
  ['an upgrade', head('HTTP/1.1 101 Switching', 'Connection: upgrade', 'Upgrade: x')],
  ['a refusal', head('HTTP/1.1 400 Bad Request', 'Content-Length: 0')],
  ['64 KiB', TOKEN.repeat(8_192)],
];

const BROKEN: readonly (readonly [name: string, bytes: string])[] = [
  ['nothing', ''],
  ['no HTTP', `SSH-2.0-x ${TOKEN}\r\n`],
  ['HTTP/0.9', `<html>${TOKEN}</html>`],
  ['HTTP/2', `\x00\x00\x12\x04\x00\x00\x00\x00\x00${TOKEN}`],
  ['a status of two digits', head('HTTP/1.1 20 OK')],
  ['a status line folded', `HTTP/1.1 200\r\n OK\r\n${TAG}\r\n`],
  ['line feeds alone', `HTTP/1.1 200 OK\nX-Token: ${TOKEN}\nContent-Length: 2\n\nok`],
  ['a bare carriage return', `${OK}\r\n${TAG}X: a\rContent-Length: 2\r\n\r\nok`],
  ['a NUL in a value', head(OK, 'X: a\0b', 'Content-Length: 0')],
  ['a folded field', head(OK, 'X: a', ' b', 'Content-Length: 0')],
  ['a space before the colon', head(OK, 'Content-Length : 10') + BODY],
  ['a field without name', head(OK, ': x', 'Content-Length: 0')],
  ['two lengths', head(OK, 'Content-Length: 10', 'Content-Length: 99') + BODY],
  ['a list of lengths', head(OK, 'Content-Length: 10, 10') + BODY],
  ['a negative length', head(OK, 'Content-Length: -7') + BODY],
  ['a length beyond 2^53', head(OK, 'Content-Length: 99999999999999999999') + BODY],
  ['a length and chunks', head(OK, 'Content-Length: 10', 'Transfer-Encoding: chunked') + CHUNK],
  ['chunked twice', head(OK, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + CHUNK],
  ['chunked below another coding', head(OK, 'Transfer-Encoding: chunked, gzip') + CHUNK],
  ['an unknown coding', head(OK, 'Transfer-Encoding: x') + BODY],
  ['a length that is too long', sized(5)],
  ['a chunk without end', chunked()],
  ['a chunk size that is none', chunked('xyz\r\n')],
  ['a signed chunk size', chunked(`-a\r\n${BODY}\r\n`)],
  ['an enormous chunk size', chunked(`${'f'.repeat(20)}\r\n`)],
  ['a chunk longer than it says', chunked(`2\r\n${BODY}\r\n0\r\n\r\n`)],
  ['a chunk size without end', chunked('1'.repeat(6_000))],
  ['an extension without end', chunked(`5;${'x'.repeat(6_000)}`)],
  ['trailers without end', chunked(`0\r\n${'X: y\r\n'.repeat(20_000)}`)],
  ['a length in the trailers', chunked('0\r\nContent-Length: 7\r\n\r\n')],
  ['an upgrade that was not requested', head('HTTP/1.1 101 Switching', 'Connection: upgrade', 'Upgrade: x') + BODY],
  ['interim answers only', head('HTTP/1.1 100 Continue').repeat(50)],
  ['a head without end', `${OK}\r\n${TAG}${`X: ${'y'.repeat(1_000)}\r\n`.repeat(1_100)}`],
  ['a body until the end', `${OK}\r\n${TAG}\r\n${BODY}`],
  ['half a status line', 'HTTP/1.1 2'],
  ['half a head', `${OK}\r\n${TAG}Content-Le`],
];

const named = (cases: typeof BROKEN) => fc.constantFrom(...cases);
const CUTS = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 });

const CORRECT_ANSWER: fc.Arbitrary<Hostility> = fc
  .tuple(named(CORRECT), CUTS)
  .map(([[name, bytes], cuts]) => ({ name, bytes, cuts, unasked: '', connection: 'keep' }));

/** A correct answer, and then more than was asked for. */
export const TALKATIVE: fc.Arbitrary<Hostility> = fc
  .tuple(named(CORRECT), named(UNASKED), CUTS)
  .map(([[name, bytes], [more, unasked], cuts]) => ({
    name: `${name}, then ${more}`,
    bytes,
    cuts,
    unasked,
    connection: 'keep',
  }));

/** A wrong answer, or a correct beginning, and then the end of the connection. */
const WRONG: fc.Arbitrary<Hostility> = fc
  .tuple(
    fc.oneof(named(BROKEN), named(CORRECT)),
    CUTS,
    fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    fc.constantFrom('end' as const, 'reset' as const),
  )
  .map(([[name, bytes], cuts, part, connection]) => ({
    name: `${name} (${Math.round(100 * part)} %), then ${connection}`,
    bytes: bytes.slice(0, Math.ceil(part * bytes.length)),
    cuts,
    unasked: '',
    connection,
  }));

/** The behaviour of an API that is broken, compromised or not an API at all. */
export const HOSTILITY: fc.Arbitrary<Hostility> = fc.oneof(
  { weight: 2, arbitrary: CORRECT_ANSWER },
  { weight: 3, arbitrary: TALKATIVE },
  { weight: 5, arbitrary: WRONG },
);
