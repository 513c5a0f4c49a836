import type { Output } from '../python/json.ts';
import type { Value } from '../python/value.ts';
import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { notFound, type Reply, ValidationError } from '../rest/errors.ts';
import { booleanField, charField, floatField, integerField, validate } from '../rest/fields.ts';
import {
  createIdentity,
  deleteIdentity,
  findIdentity,
  type Identity,
  listIdentities,
  renameIdentity,
} from '../store/identities.ts';
import {
  createTraits,
  deleteTraitKey,
  deleteTraits,
  findTrait,
  listTraits,
  newTrait,
  type Trait,
  updateTraits,
} from '../store/traits.ts';
import { ENVIRONMENT, environmentOf, IDENTITY, identityOf, idOf } from './admin.ts';

const PAGE = 20;
const IDENTITY_FIELDS = { identifier: charField({ maxLength: 2000 }) };

/** Type and value need not agree; the value is NULL then. */
const TRAIT_FIELDS = {
  trait_key: charField({ maxLength: 200 }),
  value_type: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 10 }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 2000 }),
  boolean_value: booleanField({ required: false, allowNull: true }),
  float_value: floatField({ required: false, allowNull: true }),
};

/** The dashboard's routes for identities and their traits. */
export function adminIdentityRoutes(access: Access): Route[] {
  const route = (path: string, methods: Route['methods']): Route => ({
    pattern: new RegExp(`^${path}$`),
    authenticate: access.requireUser,
    methods,
  });
  return [
    route(`${ENVIRONMENT}/identities/`, { GET: list, POST: create }),
    route(`${IDENTITY}/`, { GET: retrieve, PUT: rename, PATCH: rename, DELETE: remove }),
    route(`${IDENTITY}/traits/`, { GET: listOf, POST: createTrait }),
    route(`${IDENTITY}/traits/(?<trait>[^/.]+)/`, {
      GET: async (call) => json(shownTrait(await traitOf(call, await identityOf(call)))),
      PUT: updateTrait,
      PATCH: updateTrait,
      DELETE: removeTrait,
    }),
  ];
}

async function list(call: Call): Promise<Reply> {
  const environment = await environmentOf(call);
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
  const environment = await environmentOf(call);
  const { identifier } = validate(IDENTITY_FIELDS, await call.data());
  await refuseDuplicate(call, environment.id, identifier!);
  return json(shown(await createIdentity(call.session, environment.id, identifier!)), 201);
}

async function retrieve(call: Call): Promise<Reply> {
  return json(shown(await identityOf(call)));
}

/** The name that the identity has already is a duplicate, too. */
async function rename(call: Call): Promise<Reply> {
  const identity = await identityOf(call);
  const partial = call.method === 'PATCH';
  const { identifier } = validate(IDENTITY_FIELDS, await call.data(), { partial });
  if (identifier === undefined) return json(shown(identity));
  await refuseDuplicate(call, identity.environmentId, identifier);
  await renameIdentity(call.session, identity.id, identifier);
  return json(shown({ ...identity, identifier }));
}

async function remove(call: Call): Promise<Reply> {
  await deleteIdentity(call.session, (await identityOf(call)).id);
  return noContent();
}

async function listOf(call: Call): Promise<Reply> {
  const traits = await listTraits(call.session.read, (await identityOf(call)).id);
  return json({ count: BigInt(traits.length), next: null, previous: null, results: traits.map(shownTrait) });
}

async function createTrait(call: Call): Promise<Reply> {
  const identity = await identityOf(call);
  const data = validate(TRAIT_FIELDS, await call.data());
  await requirePersistence(call);
  const trait = { ...newTrait(data.trait_key!, null), ...(data as Partial<Trait>) };
  const [created] = await createTraits(call.session, identity.id, [trait], 'fail');
  return json(shownTrait(created!), 201);
}

async function updateTrait(call: Call): Promise<Reply> {
  const trait = await traitOf(call, await identityOf(call));
  const data = validate(TRAIT_FIELDS, await call.data(), { partial: call.method === 'PATCH' });
  await requirePersistence(call);
  const changed = { ...trait, ...(data as Partial<Trait>) };
  await updateTraits(call.session, [changed]);
  return json(shownTrait(changed));
}

async function removeTrait(call: Call): Promise<Reply> {
  const identity = await identityOf(call);
  const trait = await traitOf(call, identity);
  const everywhere = ['true', 'True'].includes(call.query.getAll('deleteAllMatchingTraits').at(-1) ?? '');
  if (everywhere) await deleteTraitKey(call.session, identity.environmentId, trait.trait_key);
  else await deleteTraits(call.session, 'id = $1', [trait.id]);
  return noContent();
}

async function traitOf(call: Call, identity: Identity): Promise<Trait> {
  const trait = await findTrait(call.session.read, identity.id, idOf(call, 'trait'));
  if (trait === undefined) throw notFound();
  return trait;
}

async function refuseDuplicate(call: Call, environmentId: bigint, identifier: string): Promise<void> {
  if ((await findIdentity(call.session.read, environmentId, identifier)) === undefined) return;
  const message = `Identity with identifier '${identifier}' already exists in this environment`;
  throw new ValidationError({ identifier: [message] });
}

/** Flagsmith's last line of defence, which ends as a server error. */
async function requirePersistence(call: Call): Promise<void> {
  const { persistTraitData } = await environmentOf(call);
  if (!persistTraitData) throw new Error('Not possible to persist traits for this organisation.');
}

function shown({ id, identifier, environmentId }: Identity): Output {
  return { id, identifier, environment: environmentId };
}

function shownTrait(trait: Trait): Output {
  return { ...(trait as unknown as Record<string, Value>) };
}
