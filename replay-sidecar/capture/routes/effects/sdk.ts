import type { EnvironmentReference, WriteEvent } from '@edge-migration/contract/write-event.ts';

import type { Data } from '../http/data.ts';
import { storable } from '../python/text.ts';
import {
  type ApiAnswer,
  type Effect,
  type Effects,
  type MatchedRequest,
  NO_EFFECTS,
  type WriteRequest,
} from '../route.ts';

/** Limits of Core's columns, in code points. */
const IDENTIFIER_LENGTH = 2000;
const TRAIT_KEY_LENGTH = 200;

type Gates = WriteEvent['traitGates'];

/** Core drops or refuses traits that come with a client key where the environment says so. */
function gatesOf(environment: EnvironmentReference, persistTraitData = true): Gates {
  const gates: Gates[number][] = 'clientKey' in environment ? ['clientTraits'] : [];
  return persistTraitData ? [...gates, 'persistTraitData'] : gates;
}

/** An identity of the request's environment; none when no row of Core can have this identifier. */
export function identityEffect(
  request: MatchedRequest,
  identifier: string | undefined,
  traitKeys: readonly (string | undefined)[] = [],
  traitGates: Gates = [],
): readonly Effect[] {
  const stored = identifier === undefined ? undefined : storable(identifier, IDENTIFIER_LENGTH);
  if (request.environment === undefined || stored === undefined || stored === '') return [];
  const traits = new Set(traitKeys.flatMap((key) => storedKey(key)));
  return [
    {
      target: { kind: 'identity', environment: request.environment, identifier: stored },
      touched: { traits: [...traits], overrides: [] },
      traitGates: traits.size > 0 ? traitGates : [],
    },
  ];
}

export function storedKey(key: string | undefined): [string] | [] {
  const stored = key === undefined ? undefined : storable(key, TRAIT_KEY_LENGTH);
  return stored === undefined ? [] : [stored];
}

function environmentOf(request: MatchedRequest): EnvironmentReference {
  if (request.environment === undefined) throw new TypeError(`Route ${request.route.name} has no environment`);
  return request.environment;
}

/** `POST identities/`: without an identifier, or transient, nothing is stored; a transient trait is left alone. */
export function identify(request: WriteRequest): Effects {
  if (request.data.isTrue('transient')) return NO_EFFECTS;
  const traits = request.data.items('traits').filter((trait) => !trait.isTrue('transient'));
  const identifier = request.data.string('identifier');
  const keysOf = (some: readonly Data[]) => some.map((trait) => trait.string('trait_key'));
  const removed = keysOf(traits.filter((trait) => trait.isNull('trait_value')));
  const set = keysOf(traits.filter((trait) => !trait.isNull('trait_value')));
  const effects = identityEffect(request, identifier, set, gatesOf(environmentOf(request)));
  return { effects: removed.length === 0 ? effects : [...effects, ...identityEffect(request, identifier, removed)] };
}

/** `GET identities/?identifier=`: any non-empty `transient`, `false` included, stores nothing. */
export function readsIdentity(request: MatchedRequest): boolean {
  return Boolean(request.query('identifier')) && !request.query('transient');
}

export function identityRead(request: WriteRequest, answer: ApiAnswer): Effects {
  return createdByRead(request, request.query('identifier'), answer);
}

/** `GET identities/<identifier>/…`, `GET flags/<identifier>` */
export function identityReadByPath(request: WriteRequest, answer: ApiAnswer): Effects {
  return createdByRead(request, request.parameter('identifier'), answer);
}

/** An identity with a stored trait existed before: one that this very request created has none. */
function createdByRead(request: WriteRequest, identifier: string | undefined, answer: ApiAnswer): Effects {
  if (answer.status === 200 && showsStoredTrait(answer.json)) return NO_EFFECTS;
  return { effects: identityEffect(request, identifier) };
}

function showsStoredTrait(json: unknown): boolean {
  const traits = (json as { traits?: unknown } | null | undefined)?.traits;
  return Array.isArray(traits) && traits.some((trait: { id?: unknown } | null) => Number.isInteger(trait?.id));
}

/** `POST identities/<identifier>/traits/<key>`: sets the trait even where clients may not. */
export function setTraitByPath(request: WriteRequest): Effects {
  const keys = [request.parameter('traitKey')];
  // A document has nothing for a trait without a value.
  const gates: Gates = request.data.isNull('trait_value') ? [] : ['persistTraitData'];
  return { effects: identityEffect(request, request.parameter('identifier'), keys, gates) };
}

/** `POST traits/` */
export function setTrait(request: WriteRequest): Effects {
  const identifier = request.data.child('identity')?.string('identifier');
  const gates = gatesOf(environmentOf(request));
  return { effects: identityEffect(request, identifier, [request.data.string('trait_key')], gates) };
}

/** `POST traits/increment-value/` */
export function incrementTrait(request: WriteRequest): Effects {
  const gates = gatesOf(environmentOf(request));
  const keys = [request.data.string('trait_key')];
  return { effects: identityEffect(request, request.data.string('identifier'), keys, gates) };
}

/**
 * `PUT traits/bulk/`: a trait without a value is deleted by the raw identifier and key, the others go through the
 * serializer. Regardless of the status: deletes survive a 400, and a 500 keeps the identities before it.
 */
export function bulkTraits(request: WriteRequest): Effects {
  const [set, removed] = [new Map<string, Set<string>>(), new Map<string, Set<string>>()];
  for (const item of request.items) {
    const { identifier, key, deletes } = bulkItem(item);
    if (identifier === undefined || key === undefined) continue;
    const keysByIdentifier = deletes ? removed : set;
    const keys = keysByIdentifier.get(identifier) ?? new Set();
    keysByIdentifier.set(identifier, keys);
    keys.add(key);
  }
  const effectsOf = (all: ReadonlyMap<string, ReadonlySet<string>>, gates: Gates) =>
    [...all].flatMap(([identifier, keys]) => identityEffect(request, identifier, [...keys], gates));
  return { effects: [...effectsOf(set, gatesOf(environmentOf(request))), ...effectsOf(removed, [])] };
}

function bulkItem(item: Data): { identifier: string | undefined; key: string | undefined; deletes: boolean } {
  const deletes = !item.has('trait_value') || item.isNull('trait_value');
  const read = (data: Data | undefined, name: string) => (deletes ? data?.text(name) : data?.string(name));
  return { identifier: read(item.child('identity'), 'identifier'), key: read(item, 'trait_key'), deletes };
}
