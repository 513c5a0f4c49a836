import type { TouchedParts } from '@edge-migration/contract/write-event.ts';

import { type Data, idOf, isObject } from '../http/data.ts';
import { idFromText } from '../python/text.ts';
import {
  type ApiAnswer,
  type Effect,
  type Effects,
  type MatchedRequest,
  NO_EFFECTS,
  NO_PARTS,
  type WriteRequest,
} from '../route.ts';
import { identityEffect, storedKey } from './sdk.ts';

/** A string field of JSON that Core itself wrote. */
export function textOf(json: unknown, name: string): string | undefined {
  const value = isObject(json) ? json[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

export function everyIdentity(request: MatchedRequest, touched: TouchedParts): readonly Effect[] {
  const { environment } = request;
  return environment === undefined ? [] : [{ target: { kind: 'environment', environment }, touched, traitGates: [] }];
}

/** An identity by Core's id; every identity of the environment for non-ASCII digits, which Python accepts. */
export function identityById(request: MatchedRequest, id: string, touched: TouchedParts): readonly Effect[] {
  const identityId = idFromText(id);
  const ascii = Buffer.byteLength(id) === id.length;
  if (identityId === undefined) return ascii ? [] : everyIdentity(request, touched);
  return [{ target: { kind: 'identityId', identityId }, touched, traitGates: [] }];
}

/** `POST environments/<env>/identities/` */
export function createIdentity(request: WriteRequest): Effects {
  return { effects: identityEffect(request, request.data.string('identifier')) };
}

/** Existence, of something that may have come here from another name. */
export const MOVED: TouchedParts = { ...NO_PARTS, moved: true };

/** `PUT|PATCH …/identities/<id>/`: the old name loses its document, the new one gets it. */
export function renameIdentity(request: WriteRequest, answer: ApiAnswer): Effects {
  const renamed = [request.data.string('identifier'), textOf(answer.json, 'identifier')];
  const effects = [...new Set(renamed)].flatMap((identifier) => identityEffect(request, identifier));
  const moved = effects.map((effect) => ({ ...effect, touched: MOVED }));
  return { effects: [...formerIdentity(request), ...moved] };
}

/** `DELETE …/identities/<id>/` */
export function deleteIdentity(request: WriteRequest): Effects {
  return { effects: formerIdentity(request) };
}

/** Under its earlier name. If that is unknown, only existence is checked for the others. */
function formerIdentity(request: WriteRequest): readonly Effect[] {
  const identifier = textOf(request.found, 'identifier');
  return identifier === undefined ? everyIdentity(request, NO_PARTS) : identityEffect(request, identifier);
}

/** `POST …/identities/<id>/traits/` */
export function createTrait(request: WriteRequest): Effects {
  const traits = storedKey(request.data.string('trait_key'));
  if (traits.length === 0) return NO_EFFECTS;
  const effects = identityById(request, request.parameter('identity'), { traits, overrides: [] });
  return { effects: effects.map((effect) => ({ ...effect, traitGates: ['persistTraitData'] })) };
}

/** `PUT|PATCH …/traits/<id>/`: may rename the key. */
export function updateTrait(request: WriteRequest, answer: ApiAnswer): Effects {
  const asked = request.data.string('trait_key');
  const answered = textOf(answer.json, 'trait_key');
  // A request that names no key leaves it as it was.
  const former = textOf(request.found, 'trait_key') ?? (asked === undefined ? answered : undefined);
  const keys = [former, asked, answered];
  const traits = former === undefined ? 'all' : [...new Set(keys.flatMap((key) => storedKey(key)))];
  const effects = identityById(request, request.parameter('identity'), { traits, overrides: [] });
  return unlessNamed(traits, effects);
}

/** `DELETE …/traits/<id>/`, of one identity or, with `?deleteAllMatchingTraits=true`, of all. */
export function deleteTrait(request: WriteRequest): Effects {
  const key = textOf(request.found, 'trait_key');
  const touched: TouchedParts = { traits: key === undefined ? 'all' : storedKey(key), overrides: [] };
  const all = ['true', 'True'].includes(request.query('deleteAllMatchingTraits') ?? '');
  const effects = all ? everyIdentity(request, touched) : identityById(request, request.parameter('identity'), touched);
  return unlessNamed(touched.traits, effects);
}

/** If a trait's key is unknown, Edge's copy cannot be told from what an Edge client has set. */
function unlessNamed(traits: TouchedParts['traits'], effects: readonly Effect[]): Effects {
  return traits === 'all' ? { effects, unnamed: true } : { effects };
}

/** `POST environments/<env>/delete-traits/` */
export function deleteTraitKey(request: WriteRequest): Effects {
  const traits = storedKey(request.data.string('key'));
  return traits.length === 0 ? NO_EFFECTS : { effects: everyIdentity(request, { traits, overrides: [] }) };
}

/** The overrides of the features named; of all features if none is named. */
export function overridesOf(...features: readonly (number | undefined)[]): TouchedParts {
  const known = [...new Set(features.filter((feature) => feature !== undefined))];
  return { traits: [], overrides: known.length === 0 ? 'all' : known };
}

export function idIn(json: unknown, name: string): number | undefined {
  return isObject(json) ? idOf(json[name]) : undefined;
}

export function identityByKnownId(identityId: number | undefined, touched: TouchedParts): readonly Effect[] {
  return identityId === undefined ? [] : [{ target: { kind: 'identityId', identityId }, touched, traitGates: [] }];
}

/** The identity that a feature state's body names by `identity` or by `identifier`, which takes precedence. */
export function identitiesNamedBy(request: MatchedRequest, data: Data, touched: TouchedParts): readonly Effect[] {
  const byIdentifier = identityEffect(request, data.string('identifier'));
  return [
    ...identityByKnownId(data.id('identity'), touched),
    ...byIdentifier.map((effect) => ({ ...effect, touched })),
  ];
}
