import type { Output } from '../python/json.ts';
import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { HttpError, type Reply } from '../rest/errors.ts';
import { charField, validate } from '../rest/fields.ts';
import {
  createIdentity,
  deleteIdentity,
  findIdentity,
  type Identity,
  listIdentities,
  renameIdentity,
} from '../store/identities.ts';
import { ENVIRONMENT, IDENTITY, identityOf, outerEnvironmentOf, userRoute } from './admin.ts';

const PAGE = 20;
const FIELDS = { identifier: charField({ maxLength: 2000 }) };

/** The dashboard's routes for identities. */
export function adminIdentityRoutes(access: Access): Route[] {
  return [
    userRoute(access, String.raw`${ENVIRONMENT}\/identities`, { GET: list, POST: create }),
    userRoute(access, IDENTITY, { GET: retrieve, PUT: rename, PATCH: rename, DELETE: remove }),
  ];
}

async function list(call: Call): Promise<Reply> {
  const environment = await outerEnvironmentOf(call);
  const page = Number(call.query.get('page') ?? 1);
  const limit = Math.min(Number(call.query.get('page_size') ?? PAGE), 999);
  const { count, identities } = await listIdentities(call.session.read, environment.id, {
    search: call.query.get('q') ?? '',
    limit,
    offset: (page - 1) * limit,
  });
  return json({ count, next: null, previous: null, results: identities.map(shown) });
}

async function create(call: Call): Promise<Reply> {
  const environment = await outerEnvironmentOf(call);
  const { identifier } = validate(FIELDS, await call.data());
  await refuseDuplicate(call, environment.id, identifier!);
  return json(shown(await createIdentity(call.session, environment.id, identifier!)), 201);
}

async function retrieve(call: Call): Promise<Reply> {
  return json(shown(await identityOf(call)));
}

/** The identity's own current name also counts as a duplicate. */
async function rename(call: Call): Promise<Reply> {
  const identity = await identityOf(call);
  const { identifier } = validate(FIELDS, await call.data(), { partial: call.method === 'PATCH' });
  if (identifier === undefined) return json(shown(identity));
  await refuseDuplicate(call, identity.environmentId, identifier);
  await renameIdentity(call.session, identity.id, identifier);
  return json(shown({ ...identity, identifier }));
}

async function remove(call: Call): Promise<Reply> {
  await deleteIdentity(call.session, (await identityOf(call)).id);
  return noContent();
}

async function refuseDuplicate(call: Call, environmentId: bigint, identifier: string): Promise<void> {
  if ((await findIdentity(call.session.read, environmentId, identifier)) === undefined) return;
  const message = `Identity with identifier '${identifier}' already exists in this environment`;
  throw new HttpError(400, { identifier: message });
}

function shown({ id, identifier, environmentId }: Identity): Output {
  return { id, identifier, environment: environmentId };
}
