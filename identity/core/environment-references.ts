import type { EnvironmentReference } from '../write-event.ts';
import { scopeName } from '../write-scope.ts';
import type { Core } from './database.ts';

/** Each gives the name of a reference, as {@link scopeName} makes it, and its environment; `$1` are the values. */
const STATEMENTS = {
  clientKey: `SELECT 'clientKey:' || api_key, id, project_id FROM environments_environment WHERE api_key = ANY ($1::text[])`,
  serverKey: `SELECT 'serverKey:' || hash, e.id, e.project_id
     FROM (SELECT encode(sha256(convert_to(key, 'UTF8')), 'hex') AS hash, environment_id
             FROM environments_environmentapikey) hashed
     JOIN environments_environment e ON e.id = hashed.environment_id
    WHERE hash = ANY ($1::text[])`,
  environment: `SELECT 'environment:' || id, id, project_id FROM environments_environment WHERE id = ANY ($1::int[])`,
} as const;

type Kind = keyof typeof STATEMENTS;

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
 * @throws as {@link Core.read}
 */
export async function readEnvironments(
  core: Core,
  references: readonly EnvironmentReference[],
  signal?: AbortSignal,
): Promise<Map<string, ReferencedEnvironment>> {
  const values = new Map<Kind, string[]>();
  for (const name of references.map(scopeName)) {
    const colon = name.indexOf(':');
    const kind = name.slice(0, colon) as Kind;
    const of = values.get(kind) ?? [];
    of.push(name.slice(colon + 1));
    values.set(kind, of);
  }
  const rows = await core.read(async (query) => {
    const found: Row[] = [];
    for (const [kind, of] of values) {
      const statement = `SELECT name, id AS "environmentId", project_id AS "projectId"
        FROM (${STATEMENTS[kind]}) found (name, id, project_id)`;
      found.push(...(await query<Row>(statement, [of])));
    }
    return found;
  }, signal);
  return new Map(rows.map(({ name, environmentId, projectId }) => [name, { environmentId, projectId }]));
}
