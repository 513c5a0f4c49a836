import { isObject } from '../http/data.ts';
import { type Answer, type Effects, type MatchedRequest, NOTHING, type WriteRequest } from '../route.ts';
import { everyIdentity, identitiesNamedBy, identityById, identityByKnownId, idIn, overridesOf } from './identities.ts';

/** `POST …/identities/<id>/featurestates/`: an `identifier` in the body wins over the path. */
export function createOverride(request: WriteRequest): Effects {
  const touched = overridesOf(request.data.id('feature'));
  return {
    effects: [
      ...identityById(request, request.parameter('identity'), touched),
      ...identitiesNamedBy(request, request.data, touched).filter(({ target }) => target.kind === 'identity'),
    ],
  };
}

/** `PUT|PATCH …/identities/<id>/featurestates/<id>/`: may move the override to another identity. */
export function updateOverride(request: WriteRequest, answer: Answer): Effects {
  const former = idIn(request.found, 'feature');
  const touched =
    former === undefined
      ? overridesOf()
      : overridesOf(former, request.data.id('feature'), idIn(answer.json, 'feature'));
  return {
    effects: [
      ...identityById(request, request.parameter('identity'), touched),
      ...identitiesNamedBy(request, request.data, touched),
      ...identityByKnownId(idIn(answer.json, 'identity'), touched),
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
export function createFeatureState(request: WriteRequest, answer: Answer): Effects {
  const touched = overridesOf(request.data.id('feature'), idIn(answer.json, 'feature'));
  const scoped = withBodyEnvironment(request, answer);
  return {
    effects: [
      ...identitiesNamedBy(scoped, request.data, touched),
      ...identityByKnownId(idIn(answer.json, 'identity'), touched),
    ],
  };
}

/**
 * `PUT|PATCH features/featurestates/<id>/`. The path does not say whose state it is, nor does Core tell before: only the
 * answer does. Where the body names an identity, the override may have come from any other one of the environment.
 *
 * An `identity` of null is taken at its word, because the dashboard sends it with every change of the environment's own
 * states. An override that somebody turns into such a state this way is found by verification only.
 */
export function updateFeatureState(request: WriteRequest, answer: Answer): Effects {
  const touched = overridesOf(idIn(answer.json, 'feature') ?? request.data.id('feature'));
  const scoped = withBodyEnvironment(request, answer);
  const named = namesIdentity(request);
  if (!named && succeeded(answer) && isObject(answer.json)) {
    return { effects: identityByKnownId(idIn(answer.json, 'identity'), touched) };
  }
  if (!named && (answer.status === 400 || request.data.isNull('identity'))) return NOTHING;
  const effects = [...identitiesNamedBy(scoped, request.data, touched), ...everyIdentity(scoped, touched)];
  const unnamed = scoped.environment === undefined && answer.status !== 400;
  return unnamed ? { effects, unnamed } : { effects };
}

function succeeded(answer: Answer): boolean {
  return answer.status !== undefined && answer.status >= 200 && answer.status < 300;
}

/** The routes below `features/` name the environment by its id, in the body. */
function withBodyEnvironment(request: WriteRequest, answer: Answer): MatchedRequest {
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
export function updateEnvironmentFeatureState(request: WriteRequest, answer: Answer): Effects {
  const former = idIn(request.found, 'identity');
  const touched = overridesOf(idIn(request.found, 'feature'), request.data.id('feature'), idIn(answer.json, 'feature'));
  const unknown = anyIdentity(request) && former === undefined;
  return {
    effects: [
      ...identityByKnownId(former, touched),
      ...identitiesNamedBy(request, request.data, touched),
      ...identityByKnownId(idIn(answer.json, 'identity'), touched),
      ...(unknown ? everyIdentity(request, touched) : []),
    ],
  };
}

/** `DELETE environments/<env>/featurestates/<id>/?anyIdentity=` */
export function deleteEnvironmentFeatureState(request: WriteRequest): Effects {
  const former = idIn(request.found, 'identity');
  const touched = overridesOf(idIn(request.found, 'feature'));
  return { effects: former === undefined ? everyIdentity(request, touched) : identityByKnownId(former, touched) };
}
