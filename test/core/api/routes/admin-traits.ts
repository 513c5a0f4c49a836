import type { Output } from '../python/json.ts';
import { pythonInt, type Value } from '../python/value.ts';
import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { notFound, type Reply } from '../rest/errors.ts';
import { booleanField, charField, floatField, integerField, validate } from '../rest/fields.ts';
import { findByClientKey } from '../store/environments.ts';
import { findIdentityById } from '../store/identities.ts';
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
import { IDENTITY, identityOf, idOf, outerEnvironmentOf } from './admin.ts';

/** Type and value need not match; the value is then NULL. */
const FIELDS = {
  trait_key: charField({ maxLength: 200 }),
  value_type: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 10 }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 2000 }),
  boolean_value: booleanField({ required: false, allowNull: true }),
  float_value: floatField({ required: false, allowNull: true }),
};

/** The dashboard's routes for an identity's traits. */
export function adminTraitRoutes(access: Access): Route[] {
  const route = (path: string, methods: Route['methods']): Route => ({
    pattern: new RegExp(`^${IDENTITY}${path}$`, 'u'),
    async authenticate(call) {
      await requireIdentity(call);
      return access.user(call);
    },
    methods,
  });
  return [
    route(String.raw`\/traits\/`, { GET: list, POST: create }),
    route(String.raw`\/traits\/(?<trait>[^/.]+)\/`, {
      GET: async (call) => json(await shown(call, await traitOf(call))),
      PUT: update,
      PATCH: update,
      DELETE: remove,
    }),
  ];
}

/** These views look up the identity before they check the caller, and fail if there is none. @throws Error */
async function requireIdentity({ session, parameters }: Call): Promise<void> {
  const id = pythonInt(parameters['identity'] ?? '');
  const identity = id === undefined ? undefined : await findIdentityById(session.read, id);
  const environment = await findByClientKey(session.read, parameters['environment'] ?? '');
  if (identity === undefined || identity.environmentId !== environment?.id) {
    throw new Error('Identity matching query does not exist.');
  }
}

async function list(call: Call): Promise<Reply> {
  const traits = await listTraits(call.session.read, (await identityOf(call)).id);
  const results = await Promise.all(traits.map((trait) => shown(call, trait)));
  return json({ count: BigInt(traits.length), next: null, previous: null, results });
}

async function create(call: Call): Promise<Reply> {
  const identity = await identityOf(call);
  const data = validate(FIELDS, await call.data());
  await requirePersistence(call);
  const trait = { ...newTrait(data.trait_key!, null), ...(data as Partial<Trait>) };
  const [created] = await createTraits(call.session, identity.id, [trait], 'fail');
  return json(await shown(call, created!), 201);
}

async function update(call: Call): Promise<Reply> {
  const trait = await traitOf(call);
  const data = validate(FIELDS, await call.data(), { partial: call.method === 'PATCH' });
  await requirePersistence(call);
  const changed = { ...trait, ...(data as Partial<Trait>) };
  await updateTraits(call.session, [changed]);
  return json(await shown(call, changed));
}

async function remove(call: Call): Promise<Reply> {
  const trait = await traitOf(call);
  const everywhere = ['true', 'True'].includes(call.query.getAll('deleteAllMatchingTraits').at(-1) ?? '');
  if (everywhere) await deleteTraitKey(call.session, (await outerEnvironmentOf(call)).id, trait.trait_key);
  else await deleteTraits(call.session, 'id = $1', [trait.id]);
  return noContent();
}

async function traitOf(call: Call): Promise<Trait> {
  const identity = await identityOf(call);
  const trait = await findTrait(call.session.read, identity.id, idOf(call, 'trait', 'Trait'));
  if (trait === undefined) throw notFound('Trait');
  return trait;
}

/** Flagsmith's last line of defence, which ends as a server error. */
async function requirePersistence(call: Call): Promise<void> {
  const { persistTraitData } = await outerEnvironmentOf(call);
  if (!persistTraitData) throw new Error('Not possible to persist traits for this organisation.');
}

async function shown(call: Call, trait: Trait): Promise<Output> {
  const [row] = await call.session.read('SELECT created_date FROM environments_trait WHERE id = $1', [trait.id]);
  return { ...(trait as unknown as Record<string, Value>), ...row };
}
