import { createHash } from 'node:crypto';
import type { EnvironmentReference, WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { CoreWrite } from './judge.ts';

/** A gap as it was marked; with `scope` undefined it may cover anything. */
export interface MarkedGap {
  readonly reason: string;
  readonly scope: readonly WriteScope[] | undefined;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** The rows of `app/judge/world.py` to which references lead. */
const ENVIRONMENTS = [
  { id: 41, apiKey: 'client-key', serverKey: sha256('ser.key'), project: 21 },
  { id: 42, apiKey: 'other-key', serverKey: sha256('ser.other'), project: 21 },
];
const ORGANISATION = 11;
const IDENTITIES = new Map([
  [1001, 'alice'],
  [1002, 'bob'],
]);
const OPTIONS = new Map([[301, 101]]);
const STATES = new Map([
  [9001, { identityId: 1001, feature: 101 }],
  [9002, { identityId: 1002, feature: 101 }],
  [9003, { identityId: 1001, feature: 102 }],
]);

function environmentOf(reference: EnvironmentReference): number | undefined {
  return ENVIRONMENTS.find(({ id, apiKey, serverKey }) => {
    if ('clientKey' in reference) return reference.clientKey === apiKey;
    if ('serverKeySha256' in reference) return reference.serverKeySha256 === serverKey;
    return reference.environmentId === id;
  })?.id;
}

function projectOf(write: CoreWrite): number | undefined {
  if ('project' in write) return write.project;
  return 'environment' in write ? ENVIRONMENTS.find(({ id }) => id === write.environment)?.project : undefined;
}

/** The writes of Core to which no event leads its handler. */
export function uncovered(writes: readonly CoreWrite[], events: readonly WriteEvent[]): CoreWrite[] {
  return writes.filter((write) => !events.some((event) => names(event, write) && touches(event, write)));
}

/** Whether the handler of the event reaches every document that the write changed. */
function names({ target }: WriteEvent, write: CoreWrite): boolean {
  if (write.kind === 'unknown') return false;
  switch (target.kind) {
    case 'identity':
      return (
        'identifier' in write &&
        target.identifier === write.identifier &&
        environmentOf(target.environment) === write.environment
      );
    case 'identityId':
      // The id of a deleted identity leads nowhere.
      return write.kind !== 'gone' && 'identifier' in write && IDENTITIES.get(target.identityId) === write.identifier;
    case 'environment':
      return 'environment' in write && environmentOf(target.environment) === write.environment;
    case 'feature':
      return (
        'feature' in write &&
        write.feature === target.featureId &&
        [undefined, projectOf(write)].includes(target.projectId)
      );
    case 'features':
      return (
        'feature' in write &&
        ('projectId' in target.of ? target.of.projectId === projectOf(write) : concerns(target.of, write))
      );
    case 'option':
      return write.kind === 'feature' && OPTIONS.get(target.optionId) === write.feature;
    case 'featureState':
      // Its handler checks the whole environment if it may have been another identity's, or belongs to none any more.
      return write.kind === 'override' && write.state === target.featureStateId;
    case 'deletedProjects':
      return write.kind === 'project' && write.deleted;
    case 'project':
      return target.projectId === projectOf(write);
  }
}

/** Targets that lead to overrides only. */
const PARTIAL: readonly WriteEvent['target']['kind'][] = ['feature', 'features', 'option', 'featureState'];

/** Whether the event has the write's part of the document compared; existence always is. */
function touches({ touched, target }: WriteEvent, write: CoreWrite): boolean {
  const has = <T>(part: 'all' | readonly T[], value: T) => part === 'all' || part.includes(value);
  switch (write.kind) {
    case 'identity':
    case 'gone':
    case 'project':
      return !PARTIAL.includes(target.kind);
    case 'trait':
      return has(touched.traits, write.key);
    case 'override':
    case 'feature':
      // Core's rows show which features these concern.
      return target.kind === 'featureState' || target.kind === 'option' || has(touched.overrides, write.feature);
    case 'environment':
      if (write.key !== undefined) return has(touched.traits, write.key);
      return write.overrides === undefined || touched.overrides === 'all';
    case 'unknown':
      return false;
  }
}

/** Whether a gap reports that this write may be missing. */
export function isInGap(write: CoreWrite, { scope }: MarkedGap): boolean {
  return scope === undefined || scope.length === 0 || scope.some((one) => concerns(one, write));
}

function concerns(scope: WriteScope, write: CoreWrite): boolean {
  // A form of the Django admin: the gap names the form's object by its id.
  if (write.kind === 'unknown') return !('clientKey' in scope || 'serverKeySha256' in scope);
  if ('projectId' in scope) return scope.projectId === projectOf(write);
  if ('organisationId' in scope) return scope.organisationId === ORGANISATION;
  if ('identityId' in scope) return 'identifier' in write && IDENTITIES.get(scope.identityId) === write.identifier;
  if ('featureId' in scope) return 'feature' in write && scope.featureId === write.feature;
  if ('featureStateId' in scope) {
    return write.kind === 'override' && STATES.get(scope.featureStateId)?.feature === write.feature;
  }
  // A project's deletion is not confined to one environment.
  return 'environment' in write && environmentOf(scope) === write.environment;
}
