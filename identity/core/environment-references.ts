import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { Database } from './database.ts';

/** Each selects a reference's name, as {@link scopeName} makes it, its environment and project; `$1` are the values. */
export const ENVIRONMENT_STATEMENTS = {
  clientKey: `SELECT 'clientKey:' || api_key, id, project_id FROM environments_environment WHERE api_key = ANY ($1::text[])`,
  serverKey: `SELECT 'serverKey:' || hash, e.id, e.project_id
     FROM (SELECT encode(sha256(convert_to(key, 'UTF8')), 'hex') AS hash, environment_id
             FROM environments_environmentapikey) hashed
     JOIN environments_environment e ON e.id = hashed.environment_id
    WHERE hash = ANY ($1::text[])`,
  environment: `SELECT 'environment:' || id, id, project_id FROM environments_environment WHERE id = ANY ($1::int[])`,
} as const;

export interface ReferencedEnvironment {
  environmentId: number;
  projectId: number;
}

interface Row extends ReferencedEnvironment {
  name: string;
}

/**
 * The environments that references lead to, by {@link scopeName}; those that Core does not know are left out.
 *
 * @throws as {@link Database.read}
 */
export async function readReferencedEnvironments(
  database: Database,
  references: readonly EnvironmentReference[],
  signal?: AbortSignal,
): Promise<Map<string, ReferencedEnvironment>> {
  const columns = 'name, id AS "environmentId", project_id AS "projectId"';
  const statements = Object.entries(ENVIRONMENT_STATEMENTS).map(([kind, statement]) => [
    kind,
    `SELECT ${columns} FROM (${statement}) found (name, id, project_id)`,
  ]);
  const rows = await readByName<Row>(database, Object.fromEntries(statements), references.map(scopeName), signal);
  return new Map(rows.map(({ name, environmentId, projectId }) => [name, { environmentId, projectId }]));
}

/**
 * Resolves names, with one query for each kind of name.
 *
 * @param statements by kind, the part of a name before its colon; `$1` are the texts after the colon
 * @throws as {@link Database.read}
 */
export function readByName<R>(
  database: Database,
  statements: Readonly<Record<string, string>>,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<R[]> {
  const kinds = Map.groupBy(names, (name) => name.slice(0, name.indexOf(':')));
  return database.read(async (query) => {
    const found: R[] = [];
    for (const [kind, all] of kinds) {
      const values = all.map((name) => name.slice(kind.length + 1));
      found.push(...(await query<R & object>(statements[kind]!, [values])));
    }
    return found;
  }, signal);
}
