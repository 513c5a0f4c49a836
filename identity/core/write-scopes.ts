import { scopeName, type WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { Database } from './database.ts';
import { ENVIRONMENT_STATEMENTS, readByName } from './environment-references.ts';

/** Each selects the scope's name, as {@link scopeName} makes it, and a project; `$n` are its values. */
const STATEMENTS = {
  clientKey: toProject(ENVIRONMENT_STATEMENTS.clientKey),
  serverKey: toProject(ENVIRONMENT_STATEMENTS.serverKey),
  environment: toProject(ENVIRONMENT_STATEMENTS.environment),
  project: `SELECT 'project:' || id, id FROM projects_project WHERE id = ANY ($1::int[])`,
  // A scope without projects leads to none, which is an answer.
  organisation: `SELECT 'organisation:' || o.id, p.id
     FROM organisations_organisation o LEFT JOIN projects_project p ON p.organisation_id = o.id
    WHERE o.id = ANY ($1::int[])`,
  identity: `SELECT 'identity:' || i.id, e.project_id
     FROM environments_identity i JOIN environments_environment e ON e.id = i.environment_id
    WHERE i.id = ANY ($1::int[])`,
  // An override may be of another project's feature.
  feature: `SELECT 'feature:' || f.id, f.project_id FROM features_feature f WHERE f.id = ANY ($1::int[])
    UNION
    SELECT 'feature:' || s.feature_id, e.project_id
      FROM features_featurestate s
      JOIN environments_identity i ON i.id = s.identity_id
      JOIN environments_environment e ON e.id = i.environment_id
     WHERE s.feature_id = ANY ($1::int[])`,
  featureState: `SELECT 'featureState:' || s.id, e.project_id
     FROM features_featurestate s JOIN environments_environment e ON e.id = s.environment_id
    WHERE s.id = ANY ($1::int[])`,
} as const;

function toProject(statement: string): string {
  return `SELECT name, project_id FROM (${statement}) found (name, id, project_id)`;
}

interface Row {
  name: string;
  projectId: number | null;
}

/**
 * The projects that scopes lead to, by {@link scopeName}; soft-deleted rows count. A scope that is left out leads
 * nowhere: Core has no such row, or no longer, so any project may be meant.
 *
 * @throws as {@link Database.read}
 */
export async function readScopeProjects(
  database: Database,
  scopes: readonly WriteScope[],
  signal?: AbortSignal,
): Promise<Map<string, Set<number>>> {
  const statements = Object.entries(STATEMENTS).map(([kind, statement]) => [
    kind,
    `SELECT name, project_id AS "projectId" FROM (${statement}) found (name, project_id)`,
  ]);
  const rows = await readByName<Row>(database, Object.fromEntries(statements), scopes.map(scopeName), signal);
  const projects = new Map<string, Set<number>>();
  for (const { name, projectId } of rows) {
    const known = projects.get(name) ?? new Set();
    projects.set(name, projectId === null ? known : known.add(projectId));
  }
  return projects;
}
