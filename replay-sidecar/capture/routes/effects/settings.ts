import type { TouchedParts } from '@edge-migration/contract/write-event.ts';
import { referenceOf } from '../environment-key.ts';
import { isObject } from '../http/data.ts';
import { idFromText, strip } from '../python/text.ts';
import {
  type ApiAnswer,
  type Effect,
  type Effects,
  type MatchedRequest,
  NO_EFFECTS,
  NO_PARTS,
  type WriteRequest,
} from '../route.ts';
import { everyIdentity, idIn, MOVED, overridesOf, textOf } from './identities.ts';

function project(projectId: number | undefined, touched: TouchedParts): readonly Effect[] {
  return projectId === undefined ? [] : [{ target: { kind: 'project', projectId }, touched, traitGates: [] }];
}

function projectOf(request: MatchedRequest): number | undefined {
  return idFromText(request.parameter('project'));
}

/** Overrides of a feature, in any project: they embed it and its options. */
export function featureEffect(featureId: number): Effect {
  return { target: { kind: 'feature', featureId }, touched: overridesOf(featureId), traitGates: [] };
}

/** Overrides that hold an option, of any feature. */
export function optionEffect(optionId: number | undefined): readonly Effect[] {
  return optionId === undefined
    ? []
    : [{ target: { kind: 'option', optionId }, touched: { traits: [], overrides: [] }, traitGates: [] }];
}

/** Overrides of all features of the project: any of them may have held an option that is gone. */
const featuresOf = (request: MatchedRequest) => featuresOfProject(projectOf(request));

function featuresOfProject(projectId: number | undefined): readonly Effect[] {
  return projectId === undefined
    ? []
    : [{ target: { kind: 'features', of: { projectId } }, touched: { traits: [], overrides: [] }, traitGates: [] }];
}

function namedFeature(request: MatchedRequest): readonly Effect[] {
  const featureId = idFromText(request.parameter('feature'));
  return featureId === undefined ? [] : [featureEffect(featureId)];
}

/** Ids of the options that the body names, in any feature. */
function namedOptions(request: WriteRequest): readonly number[] {
  return request.data.items('multivariate_options').flatMap((option) => option.id('id') ?? option.id('pk') ?? []);
}

/** `POST projects/<p>/features/`: a new feature takes over the options that it names by id. */
export function createFeature(request: WriteRequest): Effects {
  return { effects: namedOptions(request).flatMap(optionEffect) };
}

/** `DELETE projects/<p>/features/<f>/`: the options of a multivariate one go with it. */
export function deleteFeature(request: WriteRequest): Effects {
  const before = optionsOf(request.found);
  const isPlain = before !== undefined && before.length === 0;
  return { effects: [...namedFeature(request), ...(isPlain ? [] : featuresOf(request))] };
}

/** `POST …/mv-options/`: the body decides which feature gets the option, regardless of the path. */
export function createOption(request: WriteRequest, answer: ApiAnswer): Effects {
  const features = [request.data.id('feature'), idIn(answer.json, 'feature')].filter((id) => id !== undefined);
  return { effects: [...namedFeature(request), ...features.map(featureEffect)] };
}

/** `PUT|PATCH …/mv-options/<o>/`: may give the option to another feature. */
export function updateOption(request: WriteRequest, answer: ApiAnswer): Effects {
  const { effects } = createOption(request, answer);
  return { effects: [...effects, ...optionEffect(idFromText(request.parameter('option')))] };
}

/** `DELETE …/mv-options/<o>/`: its holders are no longer known. */
export function deleteOption(request: WriteRequest): Effects {
  return { effects: [...namedFeature(request), ...featuresOf(request)] };
}

/** `POST environments/<id>/features/<f>/versions/…`: its states may take over multivariate values of overrides. */
export function changeVersion(request: WriteRequest): Effects {
  return { effects: namedFeature(request) };
}

/** The parts of a feature that overrides embed. */
const EMBEDDED = ['name', 'type', 'multivariate_options'] as const;

/** `PUT|PATCH projects/<p>/features/<f>/`: mostly changes nothing in an override; a lookup before shows whether. */
export function updateFeature(request: WriteRequest, answer: ApiAnswer): Effects {
  const options = request.data.items('multivariate_options');
  const named = EMBEDDED.some((name) => request.data.has(name)) || options.length > 0;
  const [before, after] = [embedded(request.found), embedded(answer.json)];
  const same = before !== undefined && after !== undefined && before === after;
  if (!named || same) return NO_EFFECTS;
  // Afterwards the feature has the options that the body names by id, from any feature, and loses those that it omits.
  const own = optionsOf(request.found);
  const asked = namedOptions(request);
  const namesOptions = request.data.has('multivariate_options') || options.length > 0;
  const keepsAll = !namesOptions || (own?.every((id) => id !== undefined && asked.includes(id)) ?? false);
  return {
    effects: [
      ...namedFeature(request),
      ...asked.filter((id) => !own?.includes(id)).flatMap(optionEffect),
      ...(keepsAll ? [] : featuresOf(request)),
    ],
  };
}

/** Ids of a feature's options; undefined if unknown. */
function optionsOf(feature: unknown): readonly (number | undefined)[] | undefined {
  const options = isObject(feature) ? feature['multivariate_options'] : undefined;
  return Array.isArray(options) ? options.map((option: unknown) => idIn(option, 'id')) : undefined;
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
export function renameEnvironment(request: WriteRequest, answer: ApiAnswer): Effects {
  const answered = textOf(answer.json, 'api_key');
  const key = answered ?? request.data.string('api_key');
  if (key === undefined || key === request.parameter('environment')) return NO_EFFECTS;
  const environmentId = idIn(answer.json, 'id');
  const renamed = environmentId === undefined ? referenceOf(strip(key)) : { environmentId };
  const after = renamed === undefined ? [] : everyIdentity({ ...request, environment: renamed }, MOVED);
  return { effects: [...everyIdentity(request, NO_PARTS), ...after] };
}

/** `POST environments/<env>/enable-v2-versioning/`, `disable-v2-versioning/`: changes which overrides are live. */
export function changeVersioning(request: WriteRequest): Effects {
  return { effects: everyIdentity(request, overridesOf()) };
}

const DELETED_PROJECTS: Effect = { target: { kind: 'deletedProjects' }, touched: NO_PARTS, traitGates: [] };

/** `DELETE projects/<p>/` */
export function deleteProject(request: WriteRequest): Effects {
  return { effects: [...withContents(projectOf(request)), DELETED_PROJECTS] };
}

/** Identities of other projects, too, have overrides of a project's features: a clone brings them there. */
function withContents(projectId: number | undefined): readonly Effect[] {
  return [...project(projectId, NO_PARTS), ...featuresOfProject(projectId)];
}

/** `DELETE organisations/<o>/`: its projects go with it. */
export function deleteOrganisation(request: WriteRequest): Effects {
  const listed = isObject(request.found) ? request.found['results'] : request.found;
  const projects = Array.isArray(listed) ? listed : [];
  return {
    effects: [...projects.flatMap((entry: unknown) => withContents(idIn(entry, 'id'))), DELETED_PROJECTS],
  };
}

/** `DELETE auth/users/<u>/`: also deletes the organisations without another member, if the body asks for it. */
export function deleteAccount(): Effects {
  return { effects: [DELETED_PROJECTS] };
}

/**
 * `POST features/feature-import/<environment>`: replaces features with all their overrides, and overrides of every
 * environment embed the resulting types and options.
 */
export function importFeatures(request: WriteRequest): Effects {
  const environmentId = idFromText(request.parameter('environmentId'));
  if (environmentId === undefined) return NO_EFFECTS;
  const all: Effect = {
    target: { kind: 'features', of: { environmentId } },
    touched: { traits: [], overrides: [] },
    traitGates: [],
  };
  return { effects: [...everyIdentity({ ...request, environment: { environmentId } }, overridesOf()), all] };
}

/** `POST projects/<p>/imports/launch-darkly/`: creates identities with overrides and a trait `key`. */
export function importLaunchDarkly(request: WriteRequest): Effects {
  return { effects: project(projectOf(request), { traits: ['key'], overrides: 'all' }) };
}

/** Below `environments/<env>/cohorts/`: membership creates identities. */
export function changeCohort(request: WriteRequest): Effects {
  return { effects: everyIdentity(request, NO_PARTS) };
}

/**
 * A saved form of the Django admin: no API shows what it changed. A form that is shown again answers 200, as does one
 * that was saved in a pop-up.
 */
export function saveAdminForm({ data }: WriteRequest, { status }: ApiAnswer): Effects {
  return status === 200 && !data.has('_popup') ? NO_EFFECTS : { effects: [], unnamed: true };
}
