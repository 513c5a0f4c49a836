import { elementsOf, type Head, type HeadLine, type ParsedRequest, type ParsedResponse, parseRequest } from './head.ts';
import type { Field } from './hook.ts';

/**
 * How the proxy treats `X-Forwarded-For`, `-Proto` and `-Host`. `off`: not at all, the API sees what the client sent.
 * `append`: for a proxy behind trusted ones. `replace`: for a proxy that faces the clients itself; everything that only
 * a proxy could know is removed.
 */
export type ForwardedPolicy = 'off' | 'append' | 'replace';

export interface ForwardedRequest {
  /** The head to send, ending in the empty line. */
  readonly text: string;
  /** The fields in that text. */
  readonly fields: readonly Field[];
  /** The client wants its connection kept. */
  readonly keepAlive: boolean;
  /** The client asked for another protocol, and the API may agree. */
  readonly upgrade: boolean;
  /** Fields left out because of their names ({@link isAliasedName}). */
  readonly aliases: number;
}

/** A piece of a head's text and its replacement; in the order of the text. */
interface Edit {
  readonly line: Pick<HeadLine, 'start' | 'end'>;
  readonly replacement: string;
}

/** Removed even when `Connection` does not name them, unless listed among the options that we speak ourselves. */
const HOP_BY_HOP = new Set(['http2-settings', 'keep-alive', 'proxy-connection', 'te', 'upgrade']);
/** Naming these in `Connection` must not remove them: they say where the message ends and whom it is for. */
const NEVER_NOMINATED = new Set(['content-length', 'transfer-encoding', 'host', 'connection']);
/** The fields that gunicorn takes a request's scheme from; it refuses a request in which they contradict each other. */
const SCHEME = ['x-forwarded-proto', 'x-forwarded-ssl', 'x-forwarded-protocol'];
/** Fields in which common proxies pass on the client, its scheme and the requested host. */
const SAID_BY_PROXIES =
  /^(?:forwarded|x-forwarded(?:-.*)?|x-original-(?:forwarded-for|host)|x-real-ip|(?:x-)?(?:cluster-|true-)?client-ip|cf-connecting-ip|x-(?:url-)?scheme|front-end-https)$/;

/**
 * Whether WSGI could take the name for another one, because it writes `-` as `_`: `SCRIPT_NAME` for the variable that
 * is cut off the path, `X_Forwarded_For` for `X-Forwarded-For`. gunicorn leaves out fields so named, except some of a
 * peer whose address it trusts, and behind this proxy every client has that address.
 */
export function isAliasedName(lower: string): boolean {
  return lower.includes('_');
}

/**
 * The request as the API gets it: every line as the client sent it, without connection-related fields and those with an
 * aliased name. An option that we would send ourselves (`keep-alive`, an upgrade, `TE: trailers`) leaves its line
 * unchanged.
 *
 * Other fields that `Connection` names stay, against RFC 9110, section 7.6.1: gunicorn hands them to the API all the
 * same, and a client must not be able to remove what a proxy in front of us has said, or make us see less than the API
 * would.
 *
 * @throws FramingError when `Connection` or `Upgrade` is too long a list
 */
export function forwardRequest(
  request: ParsedRequest,
  policy: ForwardedPolicy,
  clientAddress: string,
): ForwardedRequest {
  const options = connectionOptions(request);
  const keepAlive = request.version === '1.1' ? !options.has('close') : options.has('keep-alive');
  const upgrade = request.version === '1.1' && options.has('upgrade') && mayUpgrade(request);
  if (policy === 'off' && isOnly(options, 'keep-alive') && !request.fields.some(mustGo)) {
    return { text: request.text, fields: request.fields, keepAlive, upgrade: false, aliases: 0 };
  }
  const kept = new Set<string>();
  if (options.has('keep-alive')) kept.add('keep-alive');
  if (upgrade) kept.add('upgrade');
  if (options.has('te') && speaksTrailersOnly(request)) kept.add('te');
  const aliases = request.fields.filter(({ lower }) => isAliasedName(lower));
  const edits = [
    ...hopByHopEdits(request, options, kept, (lower) => HOP_BY_HOP.has(lower)),
    ...aliases.map(removal),
    ...forwardedEdits(request, policy, clientAddress),
  ];
  const text = edited(request, edits, forwardedLines(request, policy, clientAddress));
  return { text, fields: parseRequest(text).fields, keepAlive, upgrade, aliases: aliases.length };
}

/** The response's head as the client gets it; `persist`: the client's connection stays open behind it. */
export function forwardResponse(
  response: ParsedResponse,
  persist: boolean,
  request: Pick<ParsedRequest, 'version'>,
  untilClose: boolean,
): string {
  const options = connectionOptions(response);
  const own = persist ? 'keep-alive' : 'close';
  if (options.size === 0) {
    if (hasHopByHop(response))
      return edited(response, hopByHopEdits(response, options, options, isForThisHop(options)), impliedOption());
    const implied = impliedOption();
    return implied === '' ? response.text : edited(response, [], implied);
  }
  if (isOnly(options, own) && !hasHopByHop(response)) return response.text;
  const kept = new Set([own]);
  if (options.has('upgrade')) kept.add('upgrade');
  return edited(response, hopByHopEdits(response, options, kept, isForThisHop(options)), '');

  /** States what both sides would not conclude from the versions and the framing alone. */
  function impliedOption(): string {
    const persistsByDefault = request.version === '1.1' && response.version === '1.1';
    if (persist) return persistsByDefault ? '' : 'Connection: keep-alive\r\n';
    return untilClose || response.version === '1.0' ? '' : 'Connection: close\r\n';
  }
}

/** Whether the sender of this response keeps its connection open. */
export function keepsAlive(response: ParsedResponse): boolean {
  const options = connectionOptions(response);
  return response.version === '1.1' ? !options.has('close') : options.has('keep-alive');
}

/** Names in the response's `Connection` field that are not options of ours. */
export function nominatedFields(response: ParsedResponse): ReadonlySet<string> | undefined {
  const options = connectionOptions(response);
  if (options === NO_OPTIONS || options === KEEP_ALIVE || options === CLOSE) return undefined;
  const nominated = [...options].filter((option) => option !== 'close' && !NEVER_NOMINATED.has(option));
  return nominated.length === 0 ? undefined : new Set(nominated);
}

const NO_OPTIONS: ReadonlySet<string> = new Set();
const KEEP_ALIVE: ReadonlySet<string> = new Set(['keep-alive']);
const CLOSE: ReadonlySet<string> = new Set(['close']);

/** @throws FramingError when there are too many */
function connectionOptions(head: Head): ReadonlySet<string> {
  const lines = head.fields.filter(({ lower }) => lower === 'connection');
  const [first] = lines;
  if (first === undefined) return NO_OPTIONS;
  // Nearly every message has just one of these.
  if (lines.length === 1 && first.value === 'keep-alive') return KEEP_ALIVE;
  if (lines.length === 1 && first.value === 'close') return CLOSE;
  return new Set(elementsOf(lines, 'connection').filter((option) => option !== ''));
}

function mustGo({ lower }: HeadLine): boolean {
  return HOP_BY_HOP.has(lower) || isAliasedName(lower);
}

function isOnly(options: ReadonlySet<string>, option: string): boolean {
  return options.size === 0 || (options.size === 1 && options.has(option));
}

function hasHopByHop(head: Head): boolean {
  for (const field of head.fields) if (HOP_BY_HOP.has(field.lower)) return true;
  return false;
}

/** h2c would carry any number of requests past the parser. */
function mayUpgrade(request: ParsedRequest): boolean {
  const protocols = elementsOf(request.fields, 'upgrade');
  return protocols.length > 0 && protocols.every((protocol) => !/^h2c\b/.test(protocol));
}

function speaksTrailersOnly(request: ParsedRequest): boolean {
  return request.fields.every((field) => field.lower !== 'te' || field.value.toLowerCase() === 'trailers');
}

/** `kept`: the options of the next hop; a `Connection` line with exactly these stays unchanged. */
function hopByHopEdits(
  head: Head,
  options: ReadonlySet<string>,
  kept: ReadonlySet<string>,
  isHopByHop: (lower: string) => boolean,
): Edit[] {
  const edits: Edit[] = [];
  const unchanged = kept.size === options.size && [...kept].every((option) => options.has(option));
  let stated = false;
  for (const line of head.fields) {
    if (line.lower === 'connection') {
      if (unchanged) continue;
      const replacement = stated || kept.size === 0 ? '' : `${line.name}: ${[...kept].join(', ')}\r\n`;
      stated = true;
      edits.push({ line, replacement });
    } else if (isHopByHop(line.lower) && !isKept(line.lower, kept)) {
      edits.push(removal(line));
    }
  }
  return edits;
}

/** `Upgrade` and `TE` belong to the option of their name; `Keep-Alive` describes only this connection, not the next. */
function isKept(lower: string, kept: ReadonlySet<string>): boolean {
  return lower !== 'keep-alive' && kept.has(lower);
}

/** In a response, whose sender is trusted, the fields that `Connection` names are for this hop, too. */
function isForThisHop(options: ReadonlySet<string>): (lower: string) => boolean {
  return (lower) => HOP_BY_HOP.has(lower) || (options.has(lower) && !NEVER_NOMINATED.has(lower));
}

function removal(line: HeadLine): Edit {
  return { line, replacement: '' };
}

function forwardedEdits(request: ParsedRequest, policy: ForwardedPolicy, clientAddress: string): Edit[] {
  if (policy === 'off') return [];
  if (policy === 'append') {
    const line = request.fields.findLast((field) => field.lower === 'x-forwarded-for');
    return line === undefined ? [] : [{ line, replacement: `${line.name}: ${line.value}, ${clientAddress}\r\n` }];
  }
  return request.fields.filter((field) => SAID_BY_PROXIES.test(field.lower)).map(removal);
}

function forwardedLines(request: ParsedRequest, policy: ForwardedPolicy, clientAddress: string): string {
  if (policy === 'off') return '';
  const present = (lower: string) => policy === 'append' && request.fields.some((field) => field.lower === lower);
  const host = request.fields.find((field) => field.lower === 'host')?.value;
  let lines = present('x-forwarded-for') ? '' : `X-Forwarded-For: ${clientAddress}\r\n`;
  if (!SCHEME.some(present)) lines += 'X-Forwarded-Proto: http\r\n';
  if (!present('x-forwarded-host') && host !== undefined) lines += `X-Forwarded-Host: ${host}\r\n`;
  return lines;
}

/** The head with the edits applied and the `added` lines in front of the empty line. */
function edited(head: Head, edits: readonly Edit[], added: string): string {
  const inOrder = [...edits].sort((a, b) => a.line.start - b.line.start);
  let text = '';
  let from = 0;
  for (const { line, replacement } of inOrder) {
    if (line.start < from) continue;
    text += head.text.slice(from, line.start) + replacement;
    from = line.end;
  }
  return `${text}${head.text.slice(from, -2)}${added}\r\n`;
}
