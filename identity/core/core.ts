import type { DerivedReference, EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import { type CoreSettings, type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { type EdgeProject, readEdgeProject } from './edge-project.ts';
import { type ReferencedEnvironment, readReferencedEnvironments } from './environment-references.ts';
import {
  type EnvironmentRecord,
  readEnvironmentIds,
  readEnvironments,
  readIdentifiers,
  readIdentityPlaces,
  readOverriddenFeatures,
  readOverriddenIdentities,
  readPresentIdentifiers,
} from './environments.ts';
import { type FormerOwner, readFormerOwners } from './former-keys.ts';
import type { CoreEnvironment, CoreIdentity, IdentityPlace } from './identity.ts';
import { findMissingIndexes } from './indexes.ts';
import { type KeyedIdentity, type KeyedPlace, readKeyedIdentities } from './keyed-identities.ts';
import { findCollationDrift, findPresentById } from './order.ts';
import {
  type IdentityPage,
  type PageRequest,
  readIdentities,
  readIdentitiesAt,
  readIdentity,
  readPage,
} from './pages.ts';
import { type CoreProject, countIdentities, readProject } from './projects.ts';
import type { CoreRelease } from './release.ts';
import {
  type FeaturePlace,
  type FeatureStatePlace,
  readDeletedProjects,
  readFeatureIds,
  readFeaturePlaces,
  readFeatureStatePlace,
  readOptionPlaces,
  readPlacesOfDeletedProjects,
} from './spread.ts';
import {
  countStretch,
  listIds,
  type MeasuredStep,
  measureStep,
  readNewestId,
  type StepRequest,
  type Stretch,
  scanIds,
} from './stretches.ts';
import { probeTables } from './tables.ts';
import { readCoreTime } from './time.ts';
import { readScopeProjects } from './write-scopes.ts';

export type { CoreSettings } from './database-url.ts';

/**
 * Core, read only, with whichever release of Flagsmith is installed at that moment (docs/design.md, "Where it runs").
 * Each read is one short transaction. It throws as {@link Database.read}, or as {@link Database.readByRelease} where
 * its rows depend on the release.
 */
export interface Core {
  /** How messages name it: `host:port/database`. */
  readonly name: string;
  readonly identities: Identities;
  readonly stretches: Stretches;
  readonly environments: Environments;
  readonly projects: Projects;
  readonly features: Features;
  readonly server: Server;
  /** Closes all connections once their work is done. */
  close(): Promise<void>;
}

/** Opens Core lazily, as {@link openDatabase}. */
export function openCore(settings: CoreSettings, options: DatabaseOptions): Core {
  const database = openDatabase(settings, options);
  return {
    name: database.name,
    identities: createIdentities(database),
    stretches: createStretches(database),
    environments: createEnvironments(database),
    projects: createProjects(database),
    features: createFeatures(database),
    server: createServer(database),
    close: () => database.close(),
  };
}

export interface Identities {
  /** The next identities of an environment. */
  page(request: PageRequest, signal?: AbortSignal): Promise<IdentityPage>;
  /** The identities at these places, in their order; undefined where there is none. */
  at(places: readonly IdentityPlace[], signal?: AbortSignal): Promise<(CoreIdentity | undefined)[]>;
  /** The identity at this place, and the owner of the place's client key. */
  keyed(place: KeyedPlace, signal?: AbortSignal): Promise<KeyedIdentity>;
  /** The same for many places, by one statement. */
  keyedMany(places: readonly KeyedPlace[], signal?: AbortSignal): Promise<KeyedIdentity[]>;
  one(place: IdentityPlace, signal?: AbortSignal): Promise<CoreIdentity | undefined>;
  /** The environment's identities among these ids. */
  byId(environment: Pick<CoreEnvironment, 'id'>, ids: readonly number[], signal?: AbortSignal): Promise<CoreIdentity[]>;
  /** The newest identity of all projects; 0 when there is none. */
  newestId(signal?: AbortSignal): Promise<number>;
  /** The number of identities of an environment. */
  count(environmentId: number, signal?: AbortSignal): Promise<number>;
  /** The places of these identities; those that Core does not have are left out. */
  places(ids: readonly number[], signal?: AbortSignal): Promise<Map<number, IdentityPlace>>;
  /** The next identifiers of an environment, in the database's order. */
  identifiers(
    request: { environmentId: number; after: string | null; limit: number },
    signal?: AbortSignal,
  ): Promise<string[]>;
  /** Which of these identifiers the environment has. */
  present(environmentId: number, identifiers: readonly string[], signal?: AbortSignal): Promise<Set<string>>;
  /** Those of these identities that Core does have, although not found by identifier; see {@link findPresentById}. */
  presentById(
    environmentId: number,
    identities: readonly { readonly id: number; readonly identifier: string }[],
    signal?: AbortSignal,
  ): Promise<number[]>;
  /** The next identities of a project that have, or had, an override of a feature. */
  overriding(
    request: { featureId: number; projectId: number; after: number; limit: number },
    signal?: AbortSignal,
  ): Promise<number[]>;
  /** The features that an identity has, or had, an override of. */
  overriddenFeatures(id: string, signal?: AbortSignal): Promise<string[]>;
}

function createIdentities(database: Database): Identities {
  return {
    page: (request, signal) => readPage(database, request, signal),
    at: (places, signal) => readIdentitiesAt(database, places, signal),
    keyed: async (place, signal) => (await readKeyedIdentities(database, [place], signal))[0]!,
    keyedMany: (places, signal) => readKeyedIdentities(database, places, signal),
    one: (place, signal) => readIdentity(database, place, signal),
    byId: (environment, ids, signal) => readIdentities(database, environment, ids, signal),
    newestId: (signal) => readNewestId(database, signal),
    count: (environmentId, signal) => countIdentities(database, environmentId, signal),
    places: (ids, signal) => readIdentityPlaces(database, ids, signal),
    identifiers: (request, signal) => readIdentifiers(database, request, signal),
    present: (environmentId, identifiers, signal) =>
      readPresentIdentifiers(database, environmentId, identifiers, signal),
    presentById: (environmentId, identities, signal) => findPresentById(database, environmentId, identities, signal),
    overriding: (request, signal) => readOverriddenIdentities(database, request, signal),
    overriddenFeatures: (id, signal) => readOverriddenFeatures(database, id, signal),
  };
}

/** Counts and lists a stretch of an environment's identities, without those newer than `newestId`. */
export interface Stretches {
  /** Their number, each compared by itself, without relying on the index. */
  count(stretch: Stretch, newestId: number, signal?: AbortSignal): Promise<number>;
  /** Their ids, each compared by itself. */
  scanIds(stretch: Stretch, newestId: number, signal?: AbortSignal): AsyncGenerator<number[]>;
  /** Their ids along the index, as pages are read. */
  listIds(stretch: Stretch, newestId: number, signal?: AbortSignal): AsyncGenerator<number[]>;
  /** The next identities along the index. */
  measure(request: StepRequest, signal?: AbortSignal): Promise<MeasuredStep>;
}

function createStretches(database: Database): Stretches {
  return {
    count: (stretch, newestId, signal) => countStretch(database, stretch, newestId, signal),
    scanIds: (stretch, newestId, signal) => scanIds(database, stretch, newestId, signal),
    listIds: (stretch, newestId, signal) => listIds(database, stretch, newestId, signal),
    measure: (request, signal) => measureStep(database, request, signal),
  };
}

export interface Environments {
  /** The environments that references name, soft-deleted ones included, by `referenceName`. */
  find(references: readonly DerivedReference[], signal?: AbortSignal): Promise<Map<string, EnvironmentRecord>>;
  /** The ids of the environments that references lead to, by `scopeName`. */
  refer(references: readonly EnvironmentReference[], signal?: AbortSignal): Promise<Map<string, ReferencedEnvironment>>;
  /** Ids of all environments of a project, soft-deleted ones included. */
  ofProject(projectId: number, signal?: AbortSignal): Promise<number[]>;
  /** Former owners of client keys that no environment has now. */
  formerOwners(apiKeys: readonly string[], projectIds: readonly number[], signal?: AbortSignal): Promise<FormerOwner[]>;
}

function createEnvironments(database: Database): Environments {
  return {
    find: (references, signal) => readEnvironments(database, references, signal),
    refer: (references, signal) => readReferencedEnvironments(database, references, signal),
    ofProject: (projectId, signal) => readEnvironmentIds(database, projectId, signal),
    formerOwners: (apiKeys, projectIds, signal) => readFormerOwners(database, apiKeys, projectIds, signal),
  };
}

export interface Projects {
  /** The project with its live environments; undefined when Core has no such row. */
  get(id: number, signal?: AbortSignal): Promise<CoreProject | undefined>;
  /** What Edge must know of the project before it can serve it; undefined where there is no live one. */
  forEdge(id: number, signal?: AbortSignal): Promise<EdgeProject | undefined>;
  /** Those of these projects that Core has deleted or does not know. */
  deleted(ids: readonly number[], signal?: AbortSignal): Promise<number[]>;
  /** The projects that scopes lead to, by `scopeName`. */
  ofScopes(scopes: readonly WriteScope[], signal?: AbortSignal): Promise<Map<string, Set<number>>>;
}

function createProjects(database: Database): Projects {
  return {
    get: (id, signal) => readProject(database, id, signal),
    forEdge: (id, signal) => readEdgeProject(database, id, signal),
    deleted: (ids, signal) => readDeletedProjects(database, ids, signal),
    ofScopes: (scopes, signal) => readScopeProjects(database, scopes, signal),
  };
}

export interface Features {
  /** Ids of all features of a project, soft-deleted ones included. */
  ofProject(projectId: number, signal?: AbortSignal): Promise<number[]>;
  /** Places where identities have, or had, an override of one of these features, or one holding an option of theirs. */
  places(ids: readonly number[], signal?: AbortSignal): Promise<FeaturePlace[]>;
  /** As {@link places}, for one option. */
  placesOfOption(optionId: number, signal?: AbortSignal): Promise<FeaturePlace[]>;
  /** As {@link places}, for the deleted projects' features that these identities of other projects override. */
  placesOfDeletedProjects(projectIds: readonly number[], signal?: AbortSignal): Promise<FeaturePlace[]>;
  /** The feature and identity that a feature state belongs to. */
  placeOfState(featureStateId: number, signal?: AbortSignal): Promise<FeatureStatePlace | undefined>;
}

function createFeatures(database: Database): Features {
  return {
    ofProject: (projectId, signal) => readFeatureIds(database, projectId, signal),
    places: (ids, signal) => readFeaturePlaces(database, ids, signal),
    placesOfOption: (optionId, signal) => readOptionPlaces(database, optionId, signal),
    placesOfDeletedProjects: (projectIds, signal) => readPlacesOfDeletedProjects(database, projectIds, signal),
    placeOfState: (featureStateId, signal) => readFeatureStatePlace(database, featureStateId, signal),
  };
}

/** Properties of the database as a whole. */
export interface Server {
  /** Detects again what the installed release has. */
  release(signal?: AbortSignal): Promise<CoreRelease>;
  /** Reads a row of every required table. */
  probeTables(signal?: AbortSignal): Promise<void>;
  /** The current time by Core's clock, in milliseconds since the epoch. */
  time(signal: AbortSignal): Promise<number>;
  /** Whether identifiers are sorted by another library version than the one that built their index. */
  hasCollationDrift(signal?: AbortSignal): Promise<boolean>;
  /** Those of Flagsmith's indexes that reads rely on and that are missing, as `table (columns)`. */
  missingIndexes(signal?: AbortSignal): Promise<string[]>;
}

function createServer(database: Database): Server {
  return {
    release: database.findRelease,
    probeTables: (signal) => probeTables(database, signal),
    time: (signal) => readCoreTime(database, signal),
    hasCollationDrift: (signal) => findCollationDrift(database, signal),
    missingIndexes: (signal) => findMissingIndexes(database, signal),
  };
}
