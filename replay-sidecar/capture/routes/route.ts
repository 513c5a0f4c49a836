import type {
  EnvironmentReference,
  EventTarget,
  TouchedParts,
  WriteEvent,
} from '@edge-migration/contract/write-event.ts';

import type { Data } from './http/data.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One way in which Core changes identities: a row of the route table. */
export interface Route {
  /** Goes into every event of the route. */
  readonly name: string;
  readonly methods: readonly Method[];
  /** Below `/api/v1/`, with `<parameters>`; see `match.ts` for the characters of each. */
  readonly path: string;
  /**
   * How the path ends: `exact` as written; `format` also with a format suffix instead of the slash (`.json`, `.json/`),
   * which most of Core's routers accept; `prefix` with anything behind it.
   */
  readonly end: 'exact' | 'format' | 'prefix';
  /** Where the environment is named: in `X-Environment-Key`, in the path, or nowhere. */
  readonly environment: 'header' | 'path' | 'none';
  /** The shape of body that is required to determine effects; `none`: they do not depend on the body. */
  readonly body: 'object' | 'list' | 'none';
  /** Whether the answer narrows or widens what was touched; otherwise `effects` is not asked again after it. */
  readonly readsAnswer: boolean;
  /** Statuses that prove that nothing changed, besides {@link UNCHANGED}. */
  readonly unchanged: readonly number[];
  /** Statuses of {@link UNCHANGED} that prove nothing on this route. */
  readonly changed: readonly number[];
  readonly outcome: 'known' | 'background';
  /** Whether an unknown body may name `anything` of Core's, beyond the scope of the head. */
  readonly reaches: 'scope' | 'anything';
  /** Reads that create an identity: one event per identity and window is enough. */
  readonly rateLimited: boolean;
  /**
   * The question to Core, as the caller, before the request is forwarded, because its answer vanishes with it. A path
   * below `/api/v1/`; undefined when this request needs none.
   */
  readonly lookup: ((request: MatchedRequest) => string | undefined) | undefined;
  /** Whether this request can change anything at all, by its head. */
  readonly concerns: (request: MatchedRequest) => boolean;
  readonly effects: (request: WriteRequest, answer: ApiAnswer) => Effects;
}

/** A request's head after matching. */
export interface MatchedRequest {
  readonly route: Route;
  /** Undefined only on routes with `environment: 'none'`. */
  readonly environment: EnvironmentReference | undefined;
  parameter(name: string): string;
  /** The last value of a query parameter. */
  query(name: string): string | undefined;
}

/** The parts of the request that are known before the answer. */
export interface WriteRequest extends MatchedRequest {
  /** Without fields when the route does not read the body or it is not an object. */
  readonly data: Data;
  /** Elements of a JSON array. */
  readonly items: readonly Data[];
  /** The lookup's result: parsed JSON; undefined when there was none or it failed. */
  readonly found: unknown;
}

/** The API's answer; `status` is undefined when unknown, `json` when it is not JSON or was not read. */
export interface ApiAnswer {
  readonly status: number | undefined;
  readonly json: unknown;
}

/** What one request may have changed of one target. */
export interface Effect {
  readonly target: EventTarget;
  readonly touched: TouchedParts;
  readonly traitGates: WriteEvent['traitGates'];
}

/** `unnamed`: something else may have changed that no event can name, in the request's environment if it has one. */
export interface Effects {
  readonly effects: readonly Effect[];
  readonly unnamed?: true;
}

export const NO_EFFECTS: Effects = { effects: [] };

/**
 * Statuses with which Core refuses a request before its view can change anything: a missing slash, authentication and
 * permission, no such object, method, media type, throttle. A view that may answer 404 later says so in its row.
 */
export const UNCHANGED: readonly number[] = [301, 401, 403, 404, 405, 406, 415, 429];

/** Existence only. */
export const NO_PARTS: TouchedParts = { traits: [], overrides: [] };
