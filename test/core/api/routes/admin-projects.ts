import type { Output } from '../python/json.ts';
import { pythonInt, str } from '../python/value.ts';
import { type Access, forbidden, maySee, requirePermission } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { notFound, type Reply, ValidationError } from '../rest/errors.ts';
import { booleanField, charField, validate } from '../rest/fields.ts';
import {
  deleteContents,
  deleteOrganisation,
  deleteProject,
  organisationExists,
  renameProject,
  showProject,
} from '../store/projects.ts';
import { OR_JSON, PROJECT, projectOf, userRoute } from './admin.ts';

/** Projects, organisations and users; deleting any of them can delete projects. */
export function adminProjectRoutes(access: Access): Route[] {
  return [
    userRoute(access, 'projects', { GET: list }),
    userRoute(access, PROJECT, { GET: retrieve, PUT: update, PATCH: update, DELETE: removeProject }, OR_JSON),
    userRoute(
      access,
      String.raw`organisations\/(?<organisation>[^/.]+)`,
      { GET: showOrganisation, PUT: showOrganisation, PATCH: showOrganisation, DELETE: removeOrganisation },
      OR_JSON,
    ),
    userRoute(access, String.raw`auth\/users\/(?:me|\d+)`, { DELETE: (call) => removeUser(call, access) }, OR_JSON),
  ];
}

async function list(call: Call): Promise<Reply> {
  const organisation = call.query.get('organisation');
  const rows = await call.session.read<{ id: bigint; organisation: bigint }>(
    'SELECT id, organisation_id AS organisation FROM projects_project WHERE deleted_at IS NULL ORDER BY id',
  );
  const visible = rows.filter((row) => maySee(call.user, row.organisation));
  const chosen = visible.filter((row) => organisation === null || String(row.organisation) === organisation);
  const projects: Output[] = [];
  for (const { id } of chosen) projects.push(await showProject(call.session.read, id));
  return json(projects);
}

async function retrieve(call: Call): Promise<Reply> {
  const { id } = await projectOf(call);
  return json(await showProject(call.session.read, id));
}

async function update(call: Call): Promise<Reply> {
  const { id } = await projectOf(call);
  const { name } = validate({ name: charField({ maxLength: 2000 }) }, await call.data(), {
    partial: call.method === 'PATCH',
  });
  if (name !== undefined) await renameProject(call.session, id, name);
  return json(await showProject(call.session.read, id));
}

async function removeProject(call: Call): Promise<Reply> {
  const { id } = await projectOf(call);
  await deleteProject(call.session, id);
  call.later((session) => deleteContents(session, id));
  return noContent();
}

/** None of the settings that can be changed is a column here. */
async function showOrganisation(call: Call): Promise<Reply> {
  return json({ id: await organisationOf(call) });
}

async function removeOrganisation(call: Call): Promise<Reply> {
  await removeOrganisations(call, [await organisationOf(call)]);
  return noContent();
}

async function organisationOf(call: Call): Promise<bigint> {
  const id = pythonInt(call.parameters['organisation']!);
  if (id === undefined) throw forbidden();
  requirePermission(call, id);
  if (!(await organisationExists(call.session.read, id))) throw notFound('Organisation');
  return id;
}

async function removeOrganisations(call: Call, ids: readonly bigint[]): Promise<void> {
  for (const id of ids) {
    for (const project of await deleteOrganisation(call.session, id)) {
      call.later((session) => deleteContents(session, project));
    }
  }
}

/** Only the caller. On request, in any form, this also deletes organisations with no other member. */
async function removeUser(call: Call, access: Access): Promise<Reply> {
  const data = await call.data();
  const fields = {
    current_password: charField({ required: false, allowNull: true, allowBlank: true }),
    delete_orphan_organisations: booleanField({ required: false }),
  };
  const { current_password } = validate(fields, data);
  if (call.user?.password !== undefined && current_password !== call.user.password) {
    if (!current_password) throw new ValidationError({ current_password: ['This field may not be blank.'] });
    throw new ValidationError({ current_password: ['Invalid password.'] });
  }
  const isDictionary = data instanceof Map || data instanceof URLSearchParams;
  const wanted = isDictionary ? (data.get('delete_orphan_organisations') ?? false) : false;
  if (wanted !== false && str(wanted) !== '') {
    const alone = (call.user?.organisations ?? []).filter((id) => access.memberCount(id) === 1);
    await removeOrganisations(call, alone);
  }
  return noContent();
}
