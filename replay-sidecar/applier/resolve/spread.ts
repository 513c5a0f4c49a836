import type { EventTarget, TouchedParts, WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { FeaturePlace } from '@edge-migration/identity/core/spread.ts';
import type { EventRetry } from '../event-retry.ts';
import type { EnvironmentCache } from './environment-cache.ts';

/** The part of an event's target that lies in one project. */
interface Part {
  readonly projectId: number;
  readonly target: EventTarget;
  readonly touched: TouchedParts;
}

/** Where an event lies that may concern several projects. */
export interface Spread {
  readonly parts: readonly Part[];
  /** The only project that it can concern; undefined when it may turn out to be any. */
  readonly projectId?: number | undefined;
}

type SpreadTarget = Extract<EventTarget, { kind: 'feature' | 'features' | 'option' | 'deletedProjects' }>;
type FeatureStateTarget = Extract<EventTarget, { kind: 'featureState' }>;

/** Finds the projects of targets that may span several, by Core's present rows. */
export interface Spreader {
  /** Waits through outages. Rejects with the signal's reason, or when Core refuses the question. */
  spread(event: WriteEvent, target: SpreadTarget): Promise<Spread>;
  /** @returns undefined when the state belongs to no identity, or Core has no such row */
  ofFeatureState(
    event: WriteEvent,
    target: FeatureStateTarget,
  ): Promise<Part | { readonly identityId: number; readonly touched: TouchedParts } | undefined>;
}

export interface SpreaderOptions {
  core: Core;
  environments: EnvironmentCache;
  /** Projects with an EdgeMigration, listed after this call. */
  migrating(signal: AbortSignal): Promise<readonly number[]>;
  eventRetry: EventRetry;
  signal: AbortSignal;
}

export function createSpreader({
  core,
  environments: directory,
  migrating,
  eventRetry,
  signal,
}: SpreaderOptions): Spreader {
  const ask = <T>(question: () => Promise<T>) => eventRetry.run(question, signal);

  async function projectOf(of: Extract<EventTarget, { kind: 'features' }>['of']): Promise<number | undefined> {
    return 'projectId' in of ? of.projectId : (await directory.load(of))?.projectId;
  }

  async function places(target: Exclude<SpreadTarget, { kind: 'deletedProjects' }>, projectId: number | undefined) {
    if (target.kind === 'option') return ask(() => core.features.placesOfOption(target.optionId, signal));
    if (target.kind === 'feature') return ask(() => core.features.places([target.featureId], signal));
    if (projectId === undefined) return [];
    const features = await ask(() => core.features.ofProject(projectId, signal));
    return ask(() => core.features.places(features, signal));
  }

  /** The parts of each deleted project, and of those whose identities have overrides of what went with one. */
  async function deletedParts(touched: TouchedParts): Promise<Part[]> {
    const projects = await ask(() => migrating(signal));
    const deleted = await ask(() => core.projects.deleted(projects, signal));
    const places = await ask(() => core.features.placesOfDeletedProjects(projects, signal));
    const whole = deleted.map((projectId): Part => ({ projectId, target: { kind: 'project', projectId }, touched }));
    return [...whole, ...places.map((place) => featurePart(touched, place))];
  }

  return {
    async spread(event, target) {
      if (target.kind === 'deletedProjects') return { parts: await deletedParts(event.touched) };
      const named = target.kind === 'features' ? await projectOf(target.of) : undefined;
      const found = await places(target, named);
      const parts = found.map((place) => featurePart(event.touched, place));
      // Another project's identity may hold an option of a feature.
      const projects = new Set([...(named === undefined ? [] : [named]), ...parts.map(({ projectId }) => projectId)]);
      return projects.size === 1 ? { parts, projectId: [...projects][0] } : { parts };
    },

    async ofFeatureState(event, { featureStateId, moved }) {
      const place = await ask(() => core.features.placeOfState(featureStateId, signal));
      if (place === undefined) return undefined;
      const { featureId, identityId, environmentId, mayHaveBeenOverride } = place;
      const touched = withOverride(event.touched, featureId);
      if (moved === undefined && !mayHaveBeenOverride) return identityId === null ? undefined : { identityId, touched };
      const environment = environmentId === null ? undefined : { environmentId };
      const record = environment && (await directory.load(environment));
      if (environment === undefined || record == null) return undefined;
      return { projectId: record.projectId, target: { kind: 'environment', environment }, touched };
    },
  };
}

function featurePart(touched: TouchedParts, { projectId, featureId }: FeaturePlace): Part {
  return {
    projectId,
    target: { kind: 'feature', projectId, featureId },
    touched: withOverride(touched, featureId),
  };
}

function withOverride(touched: TouchedParts, featureId: number): TouchedParts {
  if (touched.overrides === 'all' || touched.overrides.includes(featureId)) return touched;
  return { ...touched, overrides: [...touched.overrides, featureId] };
}
