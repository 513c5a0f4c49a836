import type { TouchedParts } from '@edge-migration/identity/write-event.ts';
import { referenceOf } from '../environment-key.ts';
import { isObject } from '../http/data.ts';
import { idFromText, strip } from '../python/text.ts';
import { type Answer, type Effect, type Effects, NO_PARTS, NOTHING, type WriteRequest } from '../route.ts';
import { everyIdentity, idIn, MOVED, overridesOf, textOf } from './identities.ts';

function project(projectId: number | undefined, touched: TouchedParts): readonly Effect[] {
  return projectId === undefined ? [] : [{ target: { kind: 'project', projectId }, touched, traitGates: [] }];
}

function projectOf(request: WriteRequest): number | undefined {
  return idFromText(request.parameter('project'));
}

/** `DELETE projects/<p>/features/<f>/`, and everything below `mv-options/`: options are embedded in overrides. */
export function changeFeature(request: WriteRequest): Effects {
  const [projectId, featureId] = [projectOf(request), idFromText(request.parameter('feature'))];
  if (projectId === undefined || featureId === undefined) return NOTHING;
  return {
    effects: [{ target: { kind: 'feature', projectId, featureId }, touched: overridesOf(featureId), traitGates: [] }],
  };
}

/** The parts of a feature that overrides embed. */
const EMBEDDED = ['name', 'type', 'multivariate_options'] as const;

/** `PUT|PATCH projects/<p>/features/<f>/`: mostly changes nothing that is in an override, and before and after show it. */
export function updateFeature(request: WriteRequest, answer: Answer): Effects {
  const named =
    EMBEDDED.some((name) => request.data.has(name)) || request.data.items('multivariate_options').length > 0;
  const [before, after] = [embedded(request.found), embedded(answer.json)];
  const same = before !== undefined && after !== undefined && before === after;
  return named && !same ? changeFeature(request) : NOTHING;
}

function embedded(feature: unknown): string | undefined {
  return isObject(feature) && idIn(feature, 'id') !== undefined
    ? JSON.stringify(EMBEDDED.map((name) => feature[name]))
    : undefined;
}

/** `DELETE environments/<env>/`: its identities are gone. */
export function deleteEnvironment(request: WriteRequest): Effects {
  return { effects: everyIdentity(request, NO_PARTS) };
}

/** `PUT|PATCH environments/<env>/`: a new `api_key` renames every document. */
export function renameEnvironment(request: WriteRequest, answer: Answer): Effects {
  const answered = textOf(answer.json, 'api_key');
  const key = answered ?? request.data.string('api_key');
  if (key === undefined || key === request.parameter('environment')) return NOTHING;
  const environmentId = idIn(answer.json, 'id');
  const renamed = environmentId === undefined ? referenceOf(strip(key)) : { environmentId };
  const after = renamed === undefined ? [] : everyIdentity({ ...request, environment: renamed }, MOVED);
  return { effects: [...everyIdentity(request, NO_PARTS), ...after] };
}

/** `POST environments/<env>/enable-v2-versioning/`, `disable-v2-versioning/`: another rule of which overrides are live. */
export function changeVersioning(request: WriteRequest): Effects {
  return { effects: everyIdentity(request, overridesOf()) };
}

/** `DELETE projects/<p>/` */
export function deleteProject(request: WriteRequest): Effects {
  return { effects: project(projectOf(request), NO_PARTS) };
}

/** `DELETE organisations/<o>/`: its projects go with it. */
export function deleteOrganisation(request: WriteRequest): Effects {
  const listed = isObject(request.found) ? request.found['results'] : request.found;
  if (!Array.isArray(listed)) return { effects: [], unnamed: true };
  const effects = listed.flatMap((entry: unknown) => project(idIn(entry, 'id'), NO_PARTS));
  const more = isObject(request.found) && request.found['next'] != null;
  return more ? { effects, unnamed: true } : { effects };
}

/** `POST features/feature-import/<environment>`: replaces features with all their overrides. */
export function importFeatures(request: WriteRequest): Effects {
  const environmentId = idFromText(request.parameter('environmentId'));
  if (environmentId === undefined) return NOTHING;
  return { effects: everyIdentity({ ...request, environment: { environmentId } }, overridesOf()) };
}

/** `POST projects/<p>/imports/launch-darkly/`: creates identities with overrides and a trait `key`. */
export function importLaunchDarkly(request: WriteRequest): Effects {
  return { effects: project(projectOf(request), { traits: ['key'], overrides: 'all' }) };
}

/** Below `environments/<env>/cohorts/`: membership creates identities. */
export function changeCohort(request: WriteRequest): Effects {
  return { effects: everyIdentity(request, NO_PARTS) };
}

/** A form of the Django admin that was saved: what it changed is in no API. */
export function saveAdminForm(): Effects {
  return { effects: [], unnamed: true };
}
