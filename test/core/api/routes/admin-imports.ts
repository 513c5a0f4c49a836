import { parseJson } from '../python/json.ts';
import { type Access, requirePermission } from '../rest/access.ts';
import { Form } from '../rest/body.ts';
import { type Call, json, type Route } from '../rest/call.ts';
import { type Reply, ValidationError } from '../rest/errors.ts';
import { choiceField, validate } from '../rest/fields.ts';
import { findById } from '../store/environments.ts';
import { importFeatures } from '../store/imports.ts';
import { userRoute } from './admin.ts';

const FIELDS = { strategy: choiceField(['SKIP', 'OVERWRITE_DESTRUCTIVE']) };

/** Features from a file, which a background task imports into an environment. */
export function adminImportRoutes(access: Access): Route[] {
  return [userRoute(access, String.raw`features\/feature-import\/(?<environment>\d+)`, { POST: create }, '')];
}

async function create(call: Call): Promise<Reply> {
  const environment = await findById(call.session.read, BigInt(call.parameters['environment']!));
  if (environment === undefined) throw new Error('Environment matching query does not exist.');
  requirePermission(call, environment.organisationId);
  const form = await call.data();
  const { strategy } = validate(FIELDS, form);
  const file = form instanceof Form ? form.files.get('file') : undefined;
  if (file === undefined) throw new ValidationError({ file: ['No file was submitted.'] });
  const target = { environmentId: environment.id, projectId: environment.projectId, strategy: strategy! };
  call.later((session) => importFeatures(session, target, parseJson(file)));
  return json({ environment_id: environment.id, strategy: strategy!, status: 'PROCESSING' }, 201);
}
