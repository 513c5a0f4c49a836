import type { DerivedReference, EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import { type CoreSettings, type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { type EdgeProject, readEdgeProject } from './edge-project.ts';
import { type ReferencedEnvironment, readEnvironments as readReferenced } from './environment-references.ts';
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
import { type Page, type PageRequest, readIdentities, readIdentitiesAt, readIdentity, readPage } from './pages.ts';
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
 * Core, read only, with whatever release of Flagsmith is installed at that moment (docs/design.md, "Where it runs"). Each
 * read is one short transaction, and throws as {@link Database.read}, or {@link Database.readByRelease} where its rows depend
 * on the release.
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
  /** The next ones of an environment. */
  page(request: PageRequest, signal?: AbortSignal): Promise<Page>;
  /** Those at these places, in their order; undefined where there is none. */
  at(places: readonly IdentityPlace[], signal?: AbortSignal): Promise<(CoreIdentity | undefined)[]>;
  /** The one of this place, and whose the place's client key is. */
  keyed(place: KeyedPlace, signal?: AbortSignal): Promise<KeyedIdentity>;
  /** The same of many, by one statement. */
  keyedMany(places: readonly KeyedPlace[], signal?: AbortSignal): Promise<KeyedIdentity[]>;
  one(place: IdentityPlace, signal?: AbortSignal): Promise<CoreIdentity | undefined>;
  /** Those of the environment among these ids. */
  byId(environment: Pick<CoreEnvironment, 'id'>, ids: readonly number[], signal?: AbortSignal): Promise<CoreIdentity[]>;
  /** The newest of all, of whatever project; 0 when there is none. */
  newestId(signal?: AbortSignal): Promise<number>;
  /** How many an environment has. */
  count(environmentId: number, signal?: AbortSignal): Promise<number>;
  /** Where these are; those that Core does not have are left out. */
  places(ids: readonly number[], signal?: AbortSignal): Promise<Map<number, IdentityPlace>>;
  /** The next identifiers of an environment, in the database's order. */
  identifiers(
    request: { environmentId: number; after: string | null; limit: number },
    signal?: AbortSignal,
  ): Promise<string[]>;
  /** Which of these identifiers the environment has. */
  present(environmentId: number, identifiers: readonly string[], signal?: AbortSignal): Promise<Set<string>>;
  /** Which of these Core has after all, although they were not found by their identifiers; see {@link findPresentById}. */
  presentById(
    environmentId: number,
    identities: readonly { readonly id: number; readonly identifier: string }[],
    signal?: AbortSignal,
  ): Promise<number[]>;
  /** The next ones of a project that have, or had, an override of a feature. */
  overriding(
    request: { featureId: number; projectId: number; after: number; limit: number },
    signal?: AbortSignal,
  ): Promise<number[]>;
  /** The features that one has, or had, an override of. */
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

/** What is in a stretch of an environment's identities, those newer than `newestId` left out. */
export interface Stretches {
  /** How many, each compared by itself, whatever the index says. */
  count(stretch: Stretch, newestId: number, signal?: AbortSignal): Promise<number>;
  /** Their ids, each compared by itself. */
  scanIds(stretch: Stretch, newestId: number, signal?: AbortSignal): AsyncGenerator<number[]>;
  /** Their ids along the index, as pages are read. */
  listIds(stretch: Stretch, newestId: number, signal?: AbortSignal): AsyncGenerator<number[]>;
  /** What comes next along the index. */
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
  /** What references name, soft-deleted environments included, by `referenceName`. */
  find(references: readonly DerivedReference[], signal?: AbortSignal): Promise<Map<string, EnvironmentRecord>>;
  /** The ids of what references lead to, by `scopeName`. */
  refer(references: readonly EnvironmentReference[], signal?: AbortSignal): Promise<Map<string, ReferencedEnvironment>>;
  /** Ids of all of a project, soft-deleted ones included. */
  ofProject(projectId: number, signal?: AbortSignal): Promise<number[]>;
  /** Whose client keys were that no environment has now. */
  formerOwners(apiKeys: readonly string[], projectIds: readonly number[], signal?: AbortSignal): Promise<FormerOwner[]>;
}

function createEnvironments(database: Database): Environments {
  return {
    find: (references, signal) => readEnvironments(database, references, signal),
    refer: (references, signal) => readReferenced(database, references, signal),
    ofProject: (projectId, signal) => readEnvironmentIds(database, projectId, signal),
    formerOwners: (apiKeys, projectIds, signal) => readFormerOwners(database, apiKeys, projectIds, signal),
  };
}

export interface Projects {
  /** With its live environments; undefined when Core has no such row. */
  get(id: number, signal?: AbortSignal): Promise<CoreProject | undefined>;
  /** What Edge must know of it before it can serve it; undefined where there is no live one. */
  forEdge(id: number, signal?: AbortSignal): Promise<EdgeProject | undefined>;
  /** Which of these Core has deleted, or does not know. */
  deleted(ids: readonly number[], signal?: AbortSignal): Promise<number[]>;
  /** Those that scopes lead to, by `scopeName`. */
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
  /** Ids of all of a project, soft-deleted ones included. */
  ofProject(projectId: number, signal?: AbortSignal): Promise<number[]>;
  /** Where identities have, or had, an override of one of these, or one that holds an option of theirs. */
  places(ids: readonly number[], signal?: AbortSignal): Promise<FeaturePlace[]>;
  /** As {@link places}, of one option. */
  placesOfOption(optionId: number, signal?: AbortSignal): Promise<FeaturePlace[]>;
  /** As {@link places}, of the deleted projects' features that identities of other projects, these, have an override of. */
  placesOfDeletedProjects(projectIds: readonly number[], signal?: AbortSignal): Promise<FeaturePlace[]>;
  /** What a feature state is of. */
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

/** What holds for all that is read. */
export interface Server {
  /** Finds anew what the installed release has. */
  release(signal?: AbortSignal): Promise<CoreRelease>;
  /** Reads a row of every table that cannot be done without. */
  probeTables(signal?: AbortSignal): Promise<void>;
  /** Now by Core's clock, in milliseconds since the epoch. */
  time(signal: AbortSignal): Promise<number>;
  /** Whether the library that sorts identifiers has another version than the one that built their index. */
  hasCollationDrift(signal?: AbortSignal): Promise<boolean>;
  /** Indexes of Flagsmith's that are read by and are missing, as `table (columns)`. */
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
