import { markOf } from '@edge-migration/contract/reports/sketch.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { BodyExtent, CaptureOutcome, RequestHead } from '../proxy/hook.ts';
import type { DraftEvent } from '../spool/draft.ts';
import { draftsOf } from './drafts.ts';
import { referenceOf } from './environment-key.ts';
import { type ParsedBody, parseBody } from './http/body.ts';
import { type Charset, charsetOf, UTF8 } from './http/charset.ts';
import { NO_DATA } from './http/form-data.ts';
import { contentType, metaValue } from './http/head.ts';
import { parseParameters } from './http/parameters.ts';
import { type FormFields, parseFormFields } from './http/query.ts';
import { UnreadableError } from './http/unreadable.ts';
import { matchRoute } from './match.ts';
import { piecesOf } from './pieces.ts';
import { idFromText } from './python/text.ts';
import { type ApiAnswer, type MatchedRequest, type Route, UNCHANGED, type WriteRequest } from './route.ts';

/** What a request may do, from its head alone. */
export type CapturePlan =
  | {
      kind: 'write';
      request: MatchedRequest;
      contentType: string | undefined;
      lookup: Lookup | undefined;
      /** Whether its query string, if that decides, is read here as Core reads it. */
      readable: boolean;
    }
  /** Looks like an identity write but is unknown; `shape` holds no key, id or identifier. */
  | {
      kind: 'unknownRoute';
      shape: string;
      scope: readonly WriteScope[];
      /** How Core knows its caller: see {@link matchRoute}. */
      isKeyed: boolean;
      environmentKey: string | undefined;
    };

export type UnknownRoute = Extract<CapturePlan, { kind: 'unknownRoute' }>;
export type WritePlan = Extract<CapturePlan, { kind: 'write' }>;

/** The question to Core, with the caller's credentials, before the request is forwarded. */
export interface Lookup {
  method: 'GET';
  target: string;
}

/** `bodyTooLarge`, `bodyUnreadable`: the input that names identities is unknown; `unnamed`: no event can name them. */
export type UncoveredReason = 'bodyTooLarge' | 'bodyUnreadable' | 'unnamed';

/** Writes that no event covers; an empty scope: they may be anyone's. */
export interface Uncovered {
  reason: UncoveredReason;
  scope: readonly WriteScope[];
}

/** Everything that one request may have changed, in events and otherwise. */
export interface Captured {
  readonly drafts: readonly DraftEvent[];
  readonly uncovered: Uncovered | undefined;
  /** Of the names of all its identities (usage/sketch.ts), where the drafts are no longer all here. */
  readonly marks?: Uint16Array;
}

export const NONE: Captured = { drafts: [], uncovered: undefined };

/**
 * Decides from the head whether a request can change identities. Undefined for all others, nearly at once.
 * Never throws on wild input.
 */
export function planCapture(head: RequestHead): CapturePlan | undefined {
  const match = matchRoute(head.method, head.target);
  if (match === undefined) return undefined;
  if (match.kind === 'unknown') {
    const { shape, isKeyed, environmentKey } = match;
    const environment = referenceOf(isKeyed ? metaValue(head.fields, 'x-environment-key') : environmentKey);
    const scope = environment === undefined ? [] : [environment];
    return { kind: 'unknownRoute', shape, scope, isKeyed, environmentKey };
  }
  const { route, parameters } = match;
  const key = route.environment === 'header' ? metaValue(head.fields, 'x-environment-key') : parameters['environment'];
  const environment = route.environment === 'none' ? undefined : referenceOf(key);
  if (route.environment !== 'none' && environment === undefined) return undefined;
  const type = contentType(head.fields);
  const request: MatchedRequest = {
    route,
    environment,
    parameter: (name) => parameters[name] ?? '',
    query: queryReader(match.query, type),
  };
  const concerned = unlessUnreadable(() => ({ yes: route.concerns(request), path: route.lookup?.(request) }));
  // Core may read something in the query that we cannot: then the request may concern anything.
  const { yes, path } = concerned ?? { yes: true, path: undefined };
  if (!yes) return undefined;
  const lookup: Lookup | undefined = path === undefined ? undefined : { method: 'GET', target: `/api/v1/${path}` };
  return { kind: 'write', request, contentType: type, lookup, readable: concerned !== undefined };
}

/** Undefined when the input turns out to be unreadable. */
function unlessUnreadable<T extends object>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (error instanceof UnreadableError) return undefined;
    throw error;
  }
}

/** Reads the query string on first use; throws UnreadableError then. */
function queryReader(query: string, type: string | undefined): MatchedRequest['query'] {
  let fields: FormFields | undefined;
  return (name) => {
    if (query === '') return undefined;
    fields ??= parseFormFields(Buffer.from(query, 'latin1'), queryCharset(type));
    return fields.get(name)?.text;
  };
}

/** The charset of the body's type holds for the query string as well. */
function queryCharset(type: string | undefined): Charset {
  const charset = type?.includes(';') ? charsetOf(parseParameters(type).parameters.get('charset')) : UTF8;
  if (charset === undefined) throw new UnreadableError('the query string is in a character set that is not read');
  return charset;
}

/**
 * The request as Core reads it. `refused`: Core cannot have taken it. `captured`: as planned before the answer, where
 * the answer does not matter.
 */
export type ReadRequest =
  | { kind: 'read'; request: WriteRequest; captured?: Captured }
  | { kind: 'refused' }
  | { kind: 'uncovered'; reason: UncoveredReason };

/**
 * Reads the body of a planned request, once. A long one is read in slices, and makes several requests that each do a
 * part of the whole.
 *
 * @param body undefined when the route does not need it or it was too large
 * @param found parsed JSON of the lookup's answer; undefined when there was none
 */
export function readRequest(
  plan: WritePlan,
  body: Buffer | undefined,
  extent: BodyExtent,
  found: unknown,
): ReadRequest | Promise<readonly ReadRequest[]> {
  const bare: WriteRequest = { ...plan.request, data: NO_DATA, items: [], found };
  if (!plan.readable) return UNREADABLE;
  if (plan.request.route.body === 'none') return { kind: 'read', request: bare };
  if (body === undefined || extent === 'tooLarge') return { kind: 'uncovered', reason: 'bodyTooLarge' };
  const parsed = parseBody(body, plan.contentType);
  return parsed instanceof Promise ? parsed.then((late) => piecesWithBody(bare, late)) : withBody(bare, parsed);
}

/** A request that Core may understand and we do not. */
export const UNREADABLE: ReadRequest = { kind: 'uncovered', reason: 'bodyUnreadable' };

function piecesWithBody(bare: WriteRequest, body: ParsedBody): readonly ReadRequest[] {
  const read = withBody(bare, body);
  if (read.kind !== 'read') return [read];
  const longest = body.kind === 'object' ? (body.longest ?? 0) : 0;
  return piecesOf(read.request, longest).map((request) => ({ kind: 'read', request }));
}

function withBody(bare: WriteRequest, body: ParsedBody): ReadRequest {
  switch (body.kind) {
    case 'object':
      return { kind: 'read', request: { ...bare, data: body.data } };
    case 'list':
      return { kind: 'read', request: { ...bare, items: body.items } };
    case 'unreadable':
      return UNREADABLE;
    case 'refused':
      return { kind: 'refused' };
  }
}

/** What the request changed at most, as far as the outcome shows. With {@link UNANSWERED}: what may still come true. */
export function planEvents(plan: WritePlan, read: ReadRequest, outcome: CaptureOutcome): Captured {
  const { route } = plan.request;
  if (outcome.kind === 'notSent') return NONE;
  if (provesNothingChanged(route, outcome)) return NONE;
  const status = outcome.kind === 'responded' ? outcome.status : undefined;
  if (read.kind === 'refused') {
    // Core took something that we consider not a body: we are wrong about it.
    return status !== undefined && status < 400
      ? { drafts: [], uncovered: { reason: 'bodyUnreadable', scope: scopeOf(plan.request) } }
      : NONE;
  }
  if (read.kind === 'uncovered')
    return { drafts: [], uncovered: { reason: read.reason, scope: scopeOf(plan.request) } };
  if (route.readsAnswer) return planOne(plan, read.request, outcome);
  read.captured ??= planOne(plan, read.request, UNANSWERED);
  return read.captured;
}

/**
 * What remains known of a request whose events are noted down: where the answer does not matter, only whether there
 * are any, and how many identities they concern. The content of its body takes many times the body's memory.
 */
export function withoutContent(plan: WritePlan, read: ReadRequest): ReadRequest {
  if (read.kind !== 'read' || read.captured === undefined || plan.request.route.readsAnswer) return read;
  const { drafts, uncovered } = read.captured;
  const request: WriteRequest = { ...plan.request, data: NO_DATA, items: [], found: undefined };
  return { kind: 'read', request, captured: { drafts: drafts.slice(0, 1), uncovered, marks: marksOf(drafts) } };
}

/** For the identities that a request wrote, each once. */
export function marksOf(drafts: readonly DraftEvent[]): Uint16Array {
  const names = drafts.flatMap(({ target }) => (target.kind === 'identity' ? [target.identifier] : []));
  return Uint16Array.from(new Set(names), markOf);
}

function planOne({ request: { route } }: WritePlan, request: WriteRequest, outcome: CaptureOutcome): Captured {
  const changed = unlessUnreadable(() => route.effects(request, answerOf(outcome)));
  if (changed === undefined) return { drafts: [], uncovered: { reason: 'bodyUnreadable', scope: scopeOf(request) } };
  const { effects, unnamed } = changed;
  return {
    drafts: draftsOf(effects, route.name),
    uncovered: unnamed ? { reason: 'unnamed', scope: scopeOf(request) } : undefined,
  };
}

/** The scope of each parameter of a path, the narrowest first. */
const SCOPES = [
  ['featureState', 'featureStateId'],
  ['feature', 'featureId'],
  ['project', 'projectId'],
  ['organisation', 'organisationId'],
  ['environmentId', 'environmentId'],
] as const;

/** Whose writes a request concerns, according to its head. */
export function scopeOf({ route, environment, parameter }: MatchedRequest): readonly WriteScope[] {
  if (route.reaches === 'anything') return [];
  if (environment !== undefined) return [environment];
  for (const [name, kind] of SCOPES) {
    const id = idFromText(parameter(name));
    if (id !== undefined) return [{ [kind]: id } as unknown as WriteScope];
  }
  return [];
}

/** The API has not answered, and may do anything that the request asks for. */
export const UNANSWERED: CaptureOutcome = { kind: 'unknown', why: 'stopped' };

function provesNothingChanged(route: Route, outcome: CaptureOutcome): boolean {
  if (outcome.kind !== 'responded') return false;
  const { status } = outcome;
  if (isLoginRedirect(outcome)) return true;
  return !route.changed.includes(status) && (UNCHANGED.includes(status) || route.unchanged.includes(status));
}

/** Django's admin redirects clients without a session to its login; a client may choose the rest of the location. */
function isLoginRedirect({ status, fields }: Extract<CaptureOutcome, { kind: 'responded' }>): boolean {
  const location = status === 302 ? fields.find(({ lower }) => lower === 'location')?.value : undefined;
  return location !== undefined && /^[^?#]*\/admin\/login\/(?:[?#]|$)/.test(location);
}

function succeeded(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

function answerOf(outcome: CaptureOutcome): ApiAnswer {
  if (outcome.kind !== 'responded') return { status: undefined, json: undefined };
  const { status, body, truncated } = outcome;
  const readable = succeeded(status) && body !== undefined && !truncated;
  return { status, json: readable ? parseJsonBody(body) : undefined };
}

/** Undefined if it is not JSON, as with a content coding: then only the answer's status is known. */
export function parseJsonBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
