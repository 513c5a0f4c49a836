import type { TouchedParts } from '@edge-migration/contract/write-event.ts';
import { type Data, isObject } from '../http/data.ts';
import { idFromText } from '../python/text.ts';
import {
  type ApiAnswer,
  type Effect,
  type Effects,
  type MatchedRequest,
  NO_EFFECTS,
  type WriteRequest,
} from '../route.ts';
import { everyIdentity, identitiesNamedBy, identityById, identityByKnownId, idIn, overridesOf } from './identities.ts';
import { featureEffect, optionEffect } from './settings.ts';

/**
 * Core gives a feature state the multivariate values that the body names by id, and takes them from the state that had
 * them, regardless of its owner. All that is known of it is the value's option, which mostly belongs to its feature.
 */
function takenValues(request: WriteRequest, features: readonly (number | undefined)[]): readonly Effect[] {
  const own = new Set(itemsOf(request.found).map((item) => idIn(item, 'id')));
  const foreign = request.data.items('multivariate_feature_state_values').filter((item) => {
    const id = item.id('id') ?? item.id('pk');
    return (item.has('id') || item.has('pk')) && !(id !== undefined && own.has(id));
  });
  if (foreign.length === 0) return [];
  return [
    ...new Set(features.filter((feature) => feature !== undefined)).values().map((feature) => featureEffect(feature)),
    ...foreign.flatMap((item: Data) => optionEffect(item.id('multivariate_feature_option'))),
  ];
}

function itemsOf(state: unknown): readonly unknown[] {
  const items = isObject(state) ? state['multivariate_feature_state_values'] : undefined;
  return Array.isArray(items) ? items : [];
}

/** `POST …/identities/<id>/featurestates/`: an `identifier` in the body takes precedence over the path. */
export function createOverride(request: WriteRequest): Effects {
  const feature = request.data.id('feature');
  const touched = overridesOf(feature);
  return {
    effects: [
      ...identityById(request, request.parameter('identity'), touched),
      ...identitiesNamedBy(request, request.data, touched).filter(({ target }) => target.kind === 'identity'),
      ...takenValues(request, [feature]),
    ],
  };
}

/** `PUT|PATCH …/identities/<id>/featurestates/<id>/`: may move the override to another identity. */
export function updateOverride(request: WriteRequest, answer: ApiAnswer): Effects {
  const former = idIn(request.found, 'feature');
  const features = [former, request.data.id('feature'), idIn(answer.json, 'feature')];
  const touched = former === undefined ? overridesOf() : overridesOf(...features);
  return {
    effects: [
      ...identityById(request, request.parameter('identity'), touched),
      ...identitiesNamedBy(request, request.data, touched),
      ...identityByKnownId(idIn(answer.json, 'identity'), touched),
      ...takenValues(request, features),
    ],
  };
}

/** `DELETE …/identities/<id>/featurestates/<id>/` */
export function deleteOverride(request: WriteRequest): Effects {
  const touched = overridesOf(idIn(request.found, 'feature'));
  return { effects: identityById(request, request.parameter('identity'), touched) };
}

/** `POST …/featurestates/clone-from-given-identity/` also removes what the source does not have. */
export function cloneOverrides(request: WriteRequest): Effects {
  return { effects: identityById(request, request.parameter('identity'), overridesOf()) };
}

/** Whether a feature state's body names an identity; otherwise it is an environment's or a segment's. */
function namesIdentity({ data }: WriteRequest): boolean {
  return data.string('identifier') !== undefined || (data.has('identity') && !data.isNull('identity'));
}

/** `POST environments/<env>/featurestates/`, `POST features/featurestates/` */
export function createFeatureState(request: WriteRequest, answer: ApiAnswer): Effects {
  const features = [request.data.id('feature'), idIn(answer.json, 'feature')];
  const touched = overridesOf(...features);
  const scoped = withBodyEnvironment(request, answer);
  return {
    effects: [
      ...identitiesNamedBy(scoped, request.data, touched),
      ...identityByKnownId(idIn(answer.json, 'identity'), touched),
      ...takenValues(request, features),
    ],
  };
}

/** The override that a feature state's id leads to; see the event's target. */
function featureState(request: MatchedRequest, touched: TouchedParts, moved: boolean): Effects {
  const featureStateId = idFromText(request.parameter('featureState'));
  if (featureStateId === undefined)
    return isAscii(request.parameter('featureState')) ? NO_EFFECTS : { effects: [], unnamed: true };
  const target = { kind: 'featureState', featureStateId, ...(moved && { moved: true as const }) } as const;
  return { effects: [{ target, touched, traitGates: [] }] };
}

/** Python accepts digits of every script as a number. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/**
 * `PUT|PATCH features/featurestates/<id>/`. The path does not show the owner of the state, but the answer and Core's
 * row do. Where the body names an identity, the override may have come from any other one of the environment.
 */
export function updateFeatureState(request: WriteRequest, answer: ApiAnswer): Effects {
  const features = [request.data.id('feature'), idIn(answer.json, 'feature')];
  const taken = takenValues(request, features);
  const identity = identityByKnownId(idIn(answer.json, 'identity'), overridesOf(...features));
  const named = namesIdentity(request);
  // The dashboard names no identity when it changes the environment's own states.
  const isOwn = isObject(answer.json) && !named && !request.data.has('identity');
  if (isOwn || (!named && identity.length > 0)) return { effects: [...identity, ...taken] };
  const touched: TouchedParts = { traits: [], overrides: features.filter((feature) => feature !== undefined) };
  const { effects, ...others } = featureState(request, touched, named);
  const scoped = withBodyEnvironment(request, answer);
  const asked = identitiesNamedBy(scoped, request.data, overridesOf(...features));
  return { effects: [...effects, ...identity, ...asked, ...taken], ...others };
}

/** The routes below `features/` name the environment by its id, in the body. */
function withBodyEnvironment(request: WriteRequest, answer: ApiAnswer): MatchedRequest {
  if (request.environment !== undefined) return request;
  const environmentId = idIn(answer.json, 'environment') ?? request.data.id('environment');
  return environmentId === undefined ? request : { ...request, environment: { environmentId } };
}

/** Without this parameter the route reaches the environment's own states only. */
function anyIdentity(request: MatchedRequest): boolean {
  return request.query('anyIdentity') !== undefined;
}

export const reachesOverrides = anyIdentity;

export function environmentFeatureStateLookup(request: MatchedRequest): string | undefined {
  if (!anyIdentity(request)) return undefined;
  const [environment, id] = [request.parameter('environment'), request.parameter('featureState')];
  return `environments/${encodeURIComponent(environment)}/featurestates/${encodeURIComponent(id)}/?anyIdentity=true`;
}

/** `PUT|PATCH environments/<env>/featurestates/<id>/`: may make the environment's own state an override, too. */
export function updateEnvironmentFeatureState(request: WriteRequest, answer: ApiAnswer): Effects {
  const former = idIn(request.found, 'identity');
  const features = [idIn(request.found, 'feature'), request.data.id('feature'), idIn(answer.json, 'feature')];
  const touched = overridesOf(...features);
  const unknown = anyIdentity(request) && former === undefined;
  return {
    effects: [
      ...identityByKnownId(former, touched),
      ...identitiesNamedBy(request, request.data, touched),
      ...identityByKnownId(idIn(answer.json, 'identity'), touched),
      ...(unknown ? everyIdentity(request, touched) : []),
      ...takenValues(request, features),
    ],
  };
}

/** `DELETE environments/<env>/featurestates/<id>/?anyIdentity=`: the row of what was deleted stays. */
export function deleteEnvironmentFeatureState(request: WriteRequest): Effects {
  const former = idIn(request.found, 'identity');
  const touched = overridesOf(idIn(request.found, 'feature'));
  return former === undefined
    ? featureState(request, { traits: [], overrides: [] }, false)
    : { effects: identityByKnownId(former, touched) };
}

/** `POST environments/<env>/features/<f>/create-segment-override/`: changes identities by the values that it takes. */
export function createSegmentOverride(request: WriteRequest): Effects {
  return { effects: takenValues(request, [idFromText(request.parameter('feature'))]) };
}
