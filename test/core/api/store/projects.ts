import type { Value } from '../python/value.ts';
import { deleteEnvironment } from './environments.ts';
import { deleteFeature } from './features.ts';
import type { Query, Session } from './session.ts';

export interface Project {
  readonly id: bigint;
  readonly organisationId: bigint;
}

export async function findProject(read: Query, id: bigint): Promise<Project | undefined> {
  const [project] = await read<Project>(
    'SELECT id, organisation_id AS "organisationId" FROM projects_project WHERE id = $1 AND deleted_at IS NULL',
    [id],
  );
  return project;
}

/** In the admin routes' format. */
export async function showProject(read: Query, id: bigint): Promise<Record<string, Value>> {
  const [project] = await read(
    'SELECT id, uuid, name, organisation_id AS organisation, enable_dynamo_db FROM projects_project WHERE id = $1',
    [id],
  );
  return project!;
}

export async function renameProject(session: Session, id: bigint, name: string): Promise<void> {
  await session.write('UPDATE projects_project SET name = $2 WHERE id = $1', [id, name]);
}

/** Marks the project; the rest is {@link deleteContents}. */
export async function deleteProject(session: Session, id: bigint): Promise<void> {
  await session.write('UPDATE projects_project SET deleted_at = now() WHERE id = $1', [id]);
}

/** The background task of a deleted project: its environments go, and then its features. */
export async function deleteContents(session: Session, projectId: bigint): Promise<void> {
  const idsIn = (table: string) =>
    session.read<{ id: bigint }>(`SELECT id FROM ${table} WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id`, [
      projectId,
    ]);
  for (const { id } of await idsIn('environments_environment')) await deleteEnvironment(session, id);
  for (const { id } of await idsIn('features_feature')) await deleteFeature(session, id);
}

export async function organisationExists(read: Query, id: bigint): Promise<boolean> {
  const found = await read('SELECT id FROM organisations_organisation WHERE id = $1 AND deleted_at IS NULL', [id]);
  return found.length > 0;
}

/** Marks the organisation and its projects. @returns ids of these projects */
export async function deleteOrganisation(session: Session, id: bigint): Promise<bigint[]> {
  await session.write('UPDATE organisations_organisation SET deleted_at = now() WHERE id = $1', [id]);
  const deleted = await session.write<{ id: bigint }>(
    'UPDATE projects_project SET deleted_at = now() WHERE organisation_id = $1 AND deleted_at IS NULL RETURNING id',
    [id],
  );
  return deleted.map((project) => project.id);
}
