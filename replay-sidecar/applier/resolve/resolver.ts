import type { DerivedReference, WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { EnvironmentRecord } from '@edge-migration/identity/core/environments.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { canBeStored } from '@edge-migration/identity/edge/document/document.ts';
import type { Touched } from '@edge-migration/identity/edge/merge.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import { createBatcher } from '@edge-migration/runtime/batcher.ts';
import { type EventRetry, isOutage } from '../event-retry.ts';
import type { EnvironmentCache } from './environment-cache.ts';
import { createFormerKeys } from './former-keys.ts';
import type { Spread, Spreader } from './spread.ts';

/** What an event is about. */
export type Resolution =
  /** One document. */
  | {
      readonly kind: 'identity';
      readonly projectId: number;
      readonly environment: CoreEnvironment;
      /** Core has no live environment of this key (any more); `environment` is the one that has or had it. */
      readonly isGone: boolean;
      readonly identifier: string;
      readonly touched: Touched;
      /**
       * The event names its environment by an earlier key. Flagsmith's processes remember keys for a while, so the
       * write may be later than the new key, and concern the document under that one, too.
       */
      readonly isFormer?: boolean;
    }
  /** All documents of an environment key, for which Core may have no live environment (any more). */
  | {
      readonly kind: 'environment';
      readonly projectId: number;
      readonly environment: CoreEnvironment;
      readonly isGone: boolean;
      /** As above: the change may concern the identities under the present key. */
      readonly isFormer?: boolean;
    }
  | { readonly kind: 'feature'; readonly projectId: number; readonly featureId: number }
  | { readonly kind: 'project'; readonly projectId: number }
  /** Spans several projects: each part becomes an event of its own. */
  | ({ readonly kind: 'spread' } & Spread)
  /** No document can be concerned. */
  | { readonly kind: 'nothing' }
  /** Some may be, but of an unknown project. */
  | { readonly kind: 'unknown'; readonly why: string };

export interface Resolver {
  /**
   * The project of a client key that was seen before. Nine out of ten events belong to projects without a migration,
   * and nothing else about them matters.
   */
  peekProjectId(clientKey: string): number | undefined;
  /** Asks Core again for the owners of these client keys, remembered for some seconds; then `peekProjectId` has them. */
  reload(clientKeys: Iterable<string>): Promise<void>;
  /** The answer where it needs no request, as for nearly all events. */
  peek(event: WriteEvent): Resolution | undefined;
  /** Waits through outages. Rejects with the signal's reason, or when a store refuses the question. */
  resolve(event: WriteEvent): Promise<Resolution>;
}

/** The resolutions that can have `isFormer`. */
type NamesEnvironment = Extract<Resolution, { kind: 'identity' | 'environment' }>;

const NOTHING = { kind: 'nothing' } as const satisfies Resolution;

export interface ResolverOptions {
  core: Core;
  edge: EdgeStore;
  environments: EnvironmentCache;
  spreader: Spreader;
  /** Projects with an EdgeMigration. */
  migrating(signal: AbortSignal): Promise<readonly number[]>;
  eventRetry: EventRetry;
  signal: AbortSignal;
}

export function createResolver(options: ResolverOptions): Resolver {
  const { core, edge, environments: directory, spreader, migrating, eventRetry, signal } = options;
  const places = createBatcher(
    async (ids: readonly number[]) => {
      const found = await eventRetry.run(() => core.identities.places(ids, signal), signal);
      return ids.map((id) => found.get(id));
    },
    { isolates: (error) => !isOutage(error) },
  );
  const placeOf = (id: number) => places.ask(String(id), id);
  const formerKeys = createFormerKeys({ core, edge, placeOf, migrating, eventRetry, signal });

  async function resolveIdentityId(event: WriteEvent, identityId: number): Promise<Resolution> {
    // Gone: the process that deleted it named it in an event of its own.
    const place = await placeOf(identityId);
    if (place === undefined) return NOTHING;
    const record = await directory.load({ environmentId: place.environmentId });
    return record === null ? NOTHING : identityOf(event, record, place.identifier);
  }

  async function resolveFeatureState(
    event: WriteEvent,
    target: Extract<WriteEvent['target'], { kind: 'featureState' }>,
  ): Promise<Resolution> {
    const found = await spreader.ofFeatureState(event, target);
    if (found === undefined) return NOTHING;
    if ('target' in found) return { kind: 'spread', parts: [found], projectId: found.projectId };
    return resolveIdentityId({ ...event, touched: found.touched }, found.identityId);
  }

  /** Core no longer knows the key: its environment was renamed, or is gone for good. */
  async function resolveOrphan(
    event: WriteEvent,
    reference: DerivedReference,
    identifier: string | undefined,
  ): Promise<Resolution> {
    const apiKey = keyOf(reference);
    if (apiKey === undefined) return { kind: 'unknown', why: 'Core has no environment of this key' };
    const owner = await formerKeys.find(apiKey);
    if (owner.kind === 'none') return NOTHING;
    const record = owner.kind === 'environment' ? await directory.load(owner) : null;
    if (record === null) {
      return {
        kind: 'unknown',
        why: 'Core has no environment with this client key, and it is unknown whether one had it',
      };
    }
    directory.learn(reference, record.environment.id);
    // It may be there now although it was not a moment ago.
    return byReference(event, record, reference, identifier);
  }

  async function resolveNamed(
    event: WriteEvent,
    reference: DerivedReference,
    identifier: string | undefined,
  ): Promise<Resolution> {
    const record = await directory.load(reference);
    return record === null
      ? resolveOrphan(event, reference, identifier)
      : byReference(event, record, reference, identifier);
  }

  return {
    peekProjectId: (clientKey) => directory.get({ clientKey })?.projectId,

    async reload(clientKeys) {
      await Promise.all(Array.from(clientKeys, (clientKey) => directory.load({ clientKey })));
    },

    peek(event) {
      const { target } = event;
      switch (target.kind) {
        case 'identity': {
          if (!canBeStored(target.identifier)) return NOTHING;
          const record = directory.get(target.environment);
          return record == null ? undefined : byReference(event, record, target.environment, target.identifier);
        }
        case 'feature':
          return target.projectId === undefined ? undefined : { ...target, projectId: target.projectId };
        case 'project':
          return target;
        default:
          return undefined;
      }
    },

    async resolve(event) {
      const { target } = event;
      switch (target.kind) {
        case 'identityId':
          return resolveIdentityId(event, target.identityId);
        case 'featureState':
          return resolveFeatureState(event, target);
        case 'project':
          return target;
        case 'feature':
        case 'features':
        case 'option':
        case 'deletedProjects':
          return { kind: 'spread', ...(await spreader.spread(event, target)) };
        case 'identity':
        case 'environment':
          return resolveNamed(event, target.environment, target.kind === 'identity' ? target.identifier : undefined);
      }
    },
  };
}

/** The client key that a reference names, if it does. */
function keyOf(reference: DerivedReference): string | undefined {
  if ('clientKey' in reference) return reference.clientKey;
  return 'apiKey' in reference ? reference.apiKey : undefined;
}

/** The environment as it is under this key: under an earlier one Core has no identities any more. */
function under(record: EnvironmentRecord, apiKey: string | undefined): EnvironmentRecord {
  const { environment } = record;
  if (apiKey === undefined || apiKey === environment.apiKey) return record;
  return { ...record, environment: { ...environment, apiKey }, deleted: true };
}

function identityOf(
  event: WriteEvent,
  record: EnvironmentRecord,
  identifier: string,
): NamesEnvironment | typeof NOTHING {
  if (!canBeStored(identifier)) return NOTHING;
  const { environment, projectId, deleted } = record;
  return {
    kind: 'identity',
    projectId,
    environment,
    isGone: deleted,
    identifier,
    touched: touchedBy(event),
  };
}

/** Resolves an event by the key or id that it names its environment by. */
function byReference(
  event: WriteEvent,
  record: EnvironmentRecord,
  reference: DerivedReference,
  identifier: string | undefined,
): Resolution {
  const named = under(record, keyOf(reference));
  const resolution = identifier === undefined ? environmentOf(named) : identityOf(event, named, identifier);
  const isFormer = named !== record && !record.deleted && 'clientKey' in reference;
  return isFormer && resolution.kind !== 'nothing' ? { ...resolution, isFormer } : resolution;
}

function environmentOf({ projectId, environment, deleted }: EnvironmentRecord): NamesEnvironment {
  return { kind: 'environment', projectId, environment, isGone: deleted };
}

/**
 * What the event may have changed. Because of its settings Core may have ignored a trait that was set, and what they
 * were at the time of the write is unknown; so such a trait follows Core where Core has it, and is left alone
 * otherwise. The same goes for all traits, which an event that can name none covers.
 */
function touchedBy({ touched, traitGates }: WriteEvent): Touched {
  const { traits, overrides, moved } = touched;
  return {
    traits: traits === 'all' ? 'all' : new Set(traits),
    overrides: overrides === 'all' ? 'all' : new Set(overrides.map(String)),
    ...((traits === 'all' || traitGates.length > 0) && { removable: new Set<string>() }),
    ...(moved && { moved }),
  };
}
