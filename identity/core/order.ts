import type { Database } from './database.ts';
import { readIdentityPlaces, readPresentIdentifiers } from './environments.ts';
import { CoreUnsupportedError } from './errors.ts';
import type { Query } from './transaction.ts';

/**
 * The order in which an environment's identities are read: by identifier, along the unique index, or by id, which is
 * slower and does not depend on a collation.
 */
export type IdentityOrder = 'identifier' | 'id';

/** Collation versions that the index on identifiers was built with, and that compares now; null: unknown. */
interface CollationVersions {
  readonly recorded: string | null;
  readonly actual: string | null;
}

const COLUMN = `
  SELECT a.attcollation AS collation, coll.collversion AS recorded, d.oid AS database,
         a.attcollation = 'pg_catalog."default"'::regcollation AS "isDefault",
         current_setting('server_version_num')::int AS server
    FROM pg_attribute a JOIN pg_collation coll ON coll.oid = a.attcollation, pg_database d
   WHERE a.attrelid = 'environments_identity'::regclass AND a.attname = 'identifier' AND d.datname = current_database()`;

interface Column {
  readonly collation: number;
  readonly recorded: string | null;
  readonly database: number;
  readonly isDefault: boolean;
  readonly server: number;
}

/** Databases record the version of their default collation since this release of Postgres. */
const DATABASE_VERSIONS = 150_000;

/**
 * Whether identifiers are sorted by another library version than the one that Core's unique index was built with.
 * After such an upgrade a look-up in the index may miss existing rows until it is rebuilt.
 *
 * @throws as {@link Database.read}
 */
export async function findCollationDrift(database: Database, signal?: AbortSignal): Promise<boolean> {
  const { recorded, actual } = await database.read(readVersions, signal);
  return recorded !== null && actual !== null && recorded !== actual;
}

async function readVersions(query: Query): Promise<CollationVersions> {
  const [column] = await query<Column & Record<string, unknown>>(COLUMN);
  const none = { recorded: null, actual: null };
  if (column === undefined) return none;
  const { collation, recorded, database, isDefault, server } = column;
  if (isDefault && server < DATABASE_VERSIONS) return none;
  const [versions] = isDefault
    ? await query<CollationVersions & Record<string, unknown>>(
        `SELECT datcollversion AS recorded, pg_database_collation_actual_version(oid) AS actual
           FROM pg_database WHERE oid = $1`,
        [database],
      )
    : await query<CollationVersions & Record<string, unknown>>(
        'SELECT $2::text AS recorded, pg_collation_actual_version($1) AS actual',
        [collation, recorded],
      );
  return versions ?? none;
}

/**
 * Those of these identities that Core does have, although they were just not found by identifier. An index that is
 * not in the order of its collation misses existing rows; look-ups by id find them.
 *
 * @returns ids of identities that have reappeared meanwhile
 * @throws CoreUnsupportedError when the index still does not find one of them; as {@link Database.read}
 */
export async function findPresentById(
  database: Database,
  environmentId: number,
  identities: readonly { readonly id: number; readonly identifier: string }[],
  signal?: AbortSignal,
): Promise<number[]> {
  if (identities.length === 0) return [];
  const places = await readIdentityPlaces(
    database,
    identities.map(({ id }) => id),
    signal,
  );
  const present = identities.filter(({ id, identifier }) => {
    const place = places.get(id);
    return place?.environmentId === environmentId && place.identifier === identifier;
  });
  if (present.length === 0) return [];
  const names = present.map(({ identifier }) => identifier);
  const found = await readPresentIdentifiers(database, environmentId, names, signal);
  const missed = present.find(({ identifier }) => !found.has(identifier));
  if (missed === undefined) return present.map(({ id }) => id);
  throw new CoreUnsupportedError(
    `${database.name} finds identity ${missed.id} of environment ${environmentId} by its id, but not by its identifier: ` +
      'the unique index on identifiers is not in the order of their collation, as after an upgrade of the operating ' +
      'system. REINDEX TABLE CONCURRENTLY environments_identity, then ALTER DATABASE … REFRESH COLLATION VERSION',
  );
}
