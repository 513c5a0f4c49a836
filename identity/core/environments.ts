import type { DerivedReference } from '@edge-migration/contract/write-event.ts';
import type { Database } from './database.ts';
import type { CoreEnvironment, IdentityPlace } from './identity.ts';
import type { CoreRelease } from './release.ts';

/** An environment as its row describes it, with the facts of its project and organisation that matter for replay. */
export interface EnvironmentRecord {
  readonly environment: CoreEnvironment;
  readonly projectId: number;
  /** Soft-deleted: it has no place in Edge, and its identities are deleted or about to be. */
  readonly deleted: boolean;
  /** The organisation's setting; when false, Core stores no traits that SDKs send. */
  readonly persistTraitData: boolean;
}

/** The reference as one text, as a key of maps. */
export function referenceName(reference: DerivedReference): string {
  if ('clientKey' in reference) return `c:${reference.clientKey}`;
  return 'environmentId' in reference ? `i:${reference.environmentId}` : `s:${reference.serverKeySha256}`;
}

/**
 * Reads the environments that these references name, soft-deleted ones included, by {@link referenceName}. A reference
 * that is left out matches none: an unknown key, or a server key that was removed.
 *
 * Server keys count whether or not they are active or expired, as in Core (docs/flagsmith.md, "Environment key ->
 * project"). They are hashed by the database, so that no key leaves it.
 *
 * @throws as {@link Database.read}
 */
export async function readEnvironments(
  database: Database,
  references: readonly DerivedReference[],
  signal?: AbortSignal,
): Promise<Map<string, EnvironmentRecord>> {
  const clientKeys = references.flatMap((reference) => ('clientKey' in reference ? [reference.clientKey] : []));
  const ids = references.flatMap((reference) => ('environmentId' in reference ? [reference.environmentId] : []));
  const hashes = references.flatMap((reference) => ('serverKeySha256' in reference ? [reference.serverKeySha256] : []));
  const rows = await database.readByRelease(
    (query, release) =>
      query<{ name: string; record: EnvironmentRecord }>(
        `SELECT found.name, ${record(release)} AS record
           FROM (SELECT 'c:' || api_key AS name, id FROM environments_environment WHERE api_key = ANY ($1)
                 UNION ALL
                 SELECT 'i:' || id, id FROM environments_environment WHERE id = ANY ($2::int[])
                 ${hashes.length === 0 ? '' : BY_SERVER_KEY}) found
           JOIN environments_environment e ON e.id = found.id
           JOIN projects_project p ON p.id = e.project_id
           JOIN organisations_organisation o ON o.id = p.organisation_id`,
        hashes.length === 0 ? [clientKeys, ids] : [clientKeys, ids, hashes],
      ),
    signal,
  );
  return new Map(rows.map((row) => [row.name, row.record]));
}

const BY_SERVER_KEY = `
  UNION ALL
  SELECT 's:' || hash, environment_id
    FROM (SELECT encode(sha256(convert_to(key, 'UTF8')), 'hex') AS hash, environment_id
            FROM environments_environmentapikey) hashed
   WHERE hash = ANY ($3)`;

function record(release: CoreRelease): string {
  return `json_build_object(
    'projectId', e.project_id,
    'deleted', ${release.environmentSoftDelete ? 'e.deleted_at IS NOT NULL' : 'false'},
    'persistTraitData', o.persist_trait_data,
    'environment', json_build_object(
      'id', e.id, 'name', e.name, 'apiKey', e.api_key, 'allowClientTraits', e.allow_client_traits,
      'useV2FeatureVersioning', ${release.v2FeatureVersioning ? 'e.use_v2_feature_versioning' : 'false'}))`;
}

/** Ids of all environments of a project, soft-deleted ones included; ascending. */
export async function readEnvironmentIds(
  database: Database,
  projectId: number,
  signal?: AbortSignal,
): Promise<number[]> {
  const rows = await database.read(
    (query) =>
      query<{ id: number }>('SELECT id FROM environments_environment WHERE project_id = $1 ORDER BY id', [projectId]),
    signal,
  );
  return rows.map(({ id }) => id);
}

/** The places of these identities; those that Core does not have are left out. */
export async function readIdentityPlaces(
  database: Database,
  identityIds: readonly number[],
  signal?: AbortSignal,
): Promise<Map<number, IdentityPlace>> {
  const rows = await database.read(
    (query) =>
      query<IdentityPlace & { id: number }>(
        `SELECT id, environment_id AS "environmentId", identifier FROM environments_identity WHERE id = ANY ($1::int[])`,
        [identityIds.filter(isInteger32)],
      ),
    signal,
  );
  return new Map(rows.map(({ id, ...place }) => [id, place]));
}

/** Core's ids are 32-bit; Postgres rejects statements with larger ones. */
function isInteger32(id: number): boolean {
  return id <= 2147483647;
}

/** Which of these identifiers the environment has. */
export async function readPresentIdentifiers(
  database: Database,
  environmentId: number,
  identifiers: readonly string[],
  signal?: AbortSignal,
): Promise<Set<string>> {
  const rows = await database.read(
    (query) =>
      query<{ identifier: string }>(
        'SELECT identifier FROM environments_identity WHERE environment_id = $1 AND identifier = ANY ($2)',
        [environmentId, identifiers],
      ),
    signal,
  );
  return new Set(rows.map(({ identifier }) => identifier));
}

/** The next identifiers of an environment in the database's order, at most `limit`, after `after`. */
export async function readIdentifiers(
  database: Database,
  { environmentId, after, limit }: { environmentId: number; after: string | null; limit: number },
  signal?: AbortSignal,
): Promise<string[]> {
  const rows = await database.read(
    (query) =>
      query<{ identifier: string }>(
        `SELECT identifier FROM environments_identity
          WHERE environment_id = $1 ${after === null ? '' : 'AND identifier > $3'} ORDER BY identifier LIMIT $2`,
        after === null ? [environmentId, limit] : [environmentId, limit, after],
      ),
    signal,
  );
  return rows.map(({ identifier }) => identifier);
}

/**
 * The next identities of a project that have, or had (soft-deleted), an override of a feature; ascending by id, after
 * `after`.
 */
export async function readOverriddenIdentities(
  database: Database,
  { featureId, projectId, after, limit }: { featureId: number; projectId: number; after: number; limit: number },
  signal?: AbortSignal,
): Promise<number[]> {
  const rows = await database.read(
    (query) =>
      query<{ id: number }>(
        `SELECT DISTINCT s.identity_id AS id
           FROM features_featurestate s
           JOIN environments_identity i ON i.id = s.identity_id
           JOIN environments_environment e ON e.id = i.environment_id
          WHERE s.feature_id = $1 AND e.project_id = $4 AND s.identity_id > $2 ORDER BY s.identity_id LIMIT $3`,
        [featureId, after, limit, projectId],
      ),
    signal,
  );
  return rows.map(({ id }) => id);
}

/** The features that an identity has, or had (soft-deleted), an override of, as text. */
export async function readOverriddenFeatures(
  database: Database,
  identityId: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const rows = await database.read(
    (query) =>
      query<{ id: number }>('SELECT DISTINCT feature_id AS id FROM features_featurestate WHERE identity_id = $1', [
        identityId,
      ]),
    signal,
  );
  return rows.map(({ id }) => String(id));
}
