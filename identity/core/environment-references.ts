import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';
import { scopeName } from '@edge-migration/contract/write-scope.ts';
import type { Database } from './database.ts';

/** Each gives the name of a reference, as {@link scopeName} makes it, its environment and that one's project; `$1` are the values. */
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
 * The environments that references lead to, by {@link scopeName}; one that Core does not know is left out.
 *
 * @throws as {@link Database.read}
 */
export async function readEnvironments(
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
 * What names lead to, with one query for each of their kinds.
 *
 * @param statements by kind, which is what stands before a name's colon; `$1` are the texts behind it
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
