/**
 * Everything that the proxy may change. Both sides of a comparison are normalised here, so anything not named below
 * must be the same byte for byte.
 */

/**
 * Connections are the proxy's own on both sides (RFC 9110, section 7.6.1), so the fields about them are not compared:
 * `Connection` and what it names in a response, `Keep-Alive`, `Proxy-Connection`, `TE`, `HTTP2-Settings`; `Upgrade`
 * where the message does not upgrade.
 */
const HOP_BY_HOP = ['connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'te'];
const NEVER_NOMINATED = ['content-length', 'transfer-encoding', 'host'];

/** WSGI could confuse such names of request fields with others; gunicorn itself drops them. */
const ALIASED = /_/;

/** Empty lines before a request (RFC 9112, section 2.2) are not forwarded. */
const LEADING_EMPTY_LINES = /^(?:\r\n)+/;

/** Interim responses are not forwarded to HTTP/1.0 clients, which do not know them (RFC 9110, section 15.2). */
const INTERIM = /^HTTP\/1\.1 1(?!01)/;

/** The request as the API saw it, without allowed differences. */
export function comparableRequest(text: string): string {
  return withoutHopByHop(text.replace(LEADING_EMPTY_LINES, ''), 'request');
}

/** The client's received bytes, without allowed differences. */
export function comparableResponses(text: string, requestVersion: string): string {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return text;
  const head = text.slice(0, headEnd + 4);
  const rest = text.slice(headEnd + 4);
  if (!INTERIM.test(head)) return withoutHopByHop(head, 'response') + rest;
  return (
    (requestVersion === '1.0' ? '' : withoutHopByHop(head, 'response')) + comparableResponses(rest, requestVersion)
  );
}

function withoutHopByHop(text: string, kind: 'request' | 'response'): string {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return text;
  const [first = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const nameOf = (line: string) => line.slice(0, line.indexOf(':')).toLowerCase();
  const options = lines
    .filter((line) => nameOf(line) === 'connection')
    .flatMap((line) => line.slice(line.indexOf(':') + 1).split(','))
    .map((option) => option.trim().toLowerCase());
  const nominated = options.filter((option) => option !== 'upgrade' && !NEVER_NOMINATED.includes(option));
  const dropped = new Set([
    ...HOP_BY_HOP,
    ...(kind === 'response' ? nominated : []),
    ...(options.includes('upgrade') ? [] : ['upgrade']),
  ]);
  const isCompared = (name: string) => !dropped.has(name) && !(kind === 'request' && ALIASED.test(name));
  return [first, ...lines.filter((line) => isCompared(nameOf(line)))].join('\r\n') + text.slice(headEnd);
}
