import type { Output } from '../python/json.ts';
import { str, type Value } from '../python/value.ts';
import { type Access, mayWriteTraits } from '../rest/access.ts';
import type { Input } from '../rest/body.ts';
import { type Call, json, type Route } from '../rest/call.ts';
import { BadRequestError, detail, HttpError, type Reply, ValidationError } from '../rest/errors.ts';
import {
  booleanField,
  charField,
  floatField,
  integerField,
  nested,
  traitValueField,
  type Validated,
  validate,
  validateMany,
} from '../rest/fields.ts';
import type { Environment } from '../store/environments.ts';
import { getOrCreateIdentity } from '../store/identities.ts';
import { changeTraits, show } from '../store/trait-changes.ts';
import { deleteTraits, getOrCreateTrait, setTrait, type Trait, traitColumns, updateTraits } from '../store/traits.ts';

const identity = nested({ identifier: charField({ maxLength: 2000 }) });
const SET = { identity, trait_value: traitValueField(), trait_key: charField() };
const BULK_ITEM = { ...SET, trait_value: traitValueField({ allowNull: true }) };
const INCREMENT = { trait_key: charField(), increment_by: integerField(), identifier: charField() };

/** How the deprecated route validates the column that it is about to write; only here strings are trimmed. */
const COLUMNS = {
  value_type: charField({ required: false }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 2000 }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  boolean_value: booleanField({ required: false, allowNull: true }),
  float_value: floatField({ required: false, allowNull: true }),
};

/** `traits/`, `traits/bulk/`, `traits/increment-value/` and the deprecated route that names the key in the path. */
export function sdkTraitRoutes(access: Access): { current: Route[]; deprecated: Route[] } {
  const authenticate = async (call: Call) => {
    const environment = await access.environment(call);
    if (!environment.persistTraitData) {
      throw new HttpError(403, detail('Organisation is not authorised to store traits.'));
    }
    return undefined;
  };
  const authenticateDeprecated = async (call: Call) => {
    await access.environment(call);
    return undefined;
  };
  const view = (handle: (call: Call, environment: Environment) => Promise<Output>) => async (call: Call) =>
    json(await handle(call, await access.environment(call)));
  /** Flagsmith's views of these do not accept the format from the path. */
  const broken = async (): Promise<Reply> => {
    throw new TypeError("got an unexpected keyword argument 'format'");
  };

  return {
    current: [
      { pattern: /^traits\/(\.json\/?)?$/, authenticate, methods: { POST: view(set) } },
      { pattern: /^traits\/bulk\/$/, authenticate, methods: { PUT: view(bulk) } },
      { pattern: /^traits\/bulk\.json\/?$/, authenticate, methods: { PUT: broken } },
      { pattern: /^traits\/increment-value\/$/, authenticate, methods: { POST: view(increment) } },
      { pattern: /^traits\/increment-value\.json\/?$/, authenticate, methods: { POST: broken } },
    ],
    deprecated: [
      {
        pattern: /^identities\/(?<identifier>[-\p{L}\p{N}_@%.]+)\/traits\/(?<key>[-\p{L}\p{N}_.]+)$/u,
        authenticate: authenticateDeprecated,
        methods: { POST: view(setDeprecated) },
      },
    ],
  };
}

async function set(call: Call, environment: Environment): Promise<Output> {
  const data = validate(SET, await call.data());
  requireTraitWrites(call, environment);
  const { identity } = await getOrCreateIdentity(call.session, environment.id, data.identity!.identifier!);
  await setTrait(call.session, identity.id, data.trait_key!, data.trait_value!);
  return echo(data);
}

/** Deletes first, from the raw body, and only then validates the rest: deletions are not undone. */
async function bulk(call: Call, environment: Environment): Promise<Output> {
  if (!mayWriteTraits(call, environment)) throw new BadRequestError('Unable to set traits with client key.');
  const { deletions, rest } = splitBulk(await call.data());
  if (deletions.length > 0) await deleteByIdentifiers(call, environment, deletions);
  const items = validateMany(BULK_ITEM, rest);
  const byIdentifier = Map.groupBy(items, (item) => item.identity!.identifier!);
  for (const [identifier, group] of byIdentifier) {
    const { identity } = await getOrCreateIdentity(call.session, environment.id, identifier);
    const changes = group.map((item) => ({ key: item.trait_key!, value: item.trait_value ?? null, transient: false }));
    await changeTraits(call.session, identity.id, changes);
  }
  return items.map(echo);
}

async function increment(call: Call, environment: Environment): Promise<Output> {
  const { trait_key, increment_by, identifier } = validate(INCREMENT, await call.data());
  requireTraitWrites(call, environment);
  const { identity } = await getOrCreateIdentity(call.session, environment.id, identifier!);
  const initial = { value_type: 'int', integer_value: 0n };
  const trait = await getOrCreateTrait(call.session, identity.id, trait_key!, initial);
  if (trait.value_type !== 'int') throw new ValidationError(['Trait is not an integer.']);
  const value = trait.integer_value! + increment_by!;
  await updateTraits(call.session, [{ ...trait, integer_value: value }]);
  return { trait_key: trait_key!, trait_value: value, identifier: identifier! };
}

/** Creates identity and trait before it checks the value, so that a bad value leaves a trait that is NULL. */
async function setDeprecated(call: Call, environment: Environment): Promise<Output> {
  const data = await call.data();
  const value = traitValueOf(data);
  if (value === undefined) throw new HttpError(400, detail('Trait value not provided'));
  const { identifier, key } = call.parameters;
  const { identity } = await getOrCreateIdentity(call.session, environment.id, identifier!);
  if (!environment.persistTraitData) throw new Error('Not possible to persist traits for this organisation.');
  const trait = await getOrCreateTrait(call.session, identity.id, key!, {});
  const columns = new Map(Object.entries(deprecatedColumns(value)) as [string, Value][]);
  const changed = { ...trait, ...(validate(COLUMNS, columns, { partial: true }) as Partial<Trait>) };
  await updateTraits(call.session, [changed]);
  return { ...show(changed, false) };
}

/** An object with a `type` is parsed as a value with its type; the column rejects any other object or list. */
function deprecatedColumns(value: Value): Record<string, Value> {
  const typed = value instanceof Map && value.get('type') ? value : undefined;
  if (typed === undefined) return traitColumns(value) as Record<string, Value>;
  const type = str(typed.get('type')!);
  const column = { int: 'integer_value', bool: 'boolean_value', float: 'float_value' }[type] ?? 'string_value';
  const known = ['int', 'bool', 'float'].includes(type);
  return { value_type: known ? type : 'unicode', [column]: typed.get('value') ?? null };
}

function traitValueOf(data: Input): Value | undefined {
  if (data instanceof URLSearchParams) return data.getAll('trait_value').at(-1);
  if (data instanceof Map) return data.get('trait_value');
  if (Array.isArray(data) || typeof data === 'string') return undefined;
  throw new TypeError('argument is not iterable');
}

function requireTraitWrites(call: Call, environment: Environment): void {
  if (mayWriteTraits(call, environment)) return;
  throw new ValidationError({ non_field_errors: ['Setting traits not allowed with client key.'] });
}

interface Deletion {
  readonly key: Value;
  readonly identifier: Value;
}

/** @throws HttpError 400 if the body is not a list of objects, Error if one of them has no identity to delete from */
function splitBulk(data: Input): { deletions: Deletion[]; rest: Value[] } {
  const invalid = () => new HttpError(400, detail('Invalid request data'));
  // An empty object or form counts as an empty list.
  if ((data instanceof Map || data instanceof URLSearchParams) && data.size === 0) return { deletions: [], rest: [] };
  if (!Array.isArray(data)) throw invalid();
  const deletions: Deletion[] = [];
  const rest: Value[] = [];
  for (const item of data) {
    if (!(item instanceof Map)) throw invalid();
    if ((item.get('trait_value') ?? null) !== null) {
      rest.push(item);
      continue;
    }
    if (!item.has('identity')) throw new Error("KeyError: 'identity'");
    const identity = item.get('identity');
    if (!(identity instanceof Map)) throw invalid();
    if (!identity.has('identifier')) throw new Error("KeyError: 'identifier'");
    deletions.push({ key: item.get('trait_key') ?? null, identifier: identity.get('identifier')! });
  }
  return { deletions, rest };
}

async function deleteByIdentifiers(
  call: Call,
  environment: Environment,
  deletions: readonly Deletion[],
): Promise<void> {
  const named = deletions.filter(({ key, identifier }) => key !== null && identifier !== null);
  await deleteTraits(
    call.session,
    `id IN (SELECT t.id FROM unnest($2::text[], $3::text[]) AS named (identifier, trait_key)
       JOIN environments_identity AS i ON i.environment_id = $1 AND i.identifier = named.identifier
       JOIN environments_trait AS t ON t.identity_id = i.id AND t.trait_key = named.trait_key)`,
    [environment.id, named.map(({ identifier }) => str(identifier)), named.map(({ key }) => str(key))],
  );
}

function echo(data: Validated<typeof BULK_ITEM>): Output {
  const { identity, trait_value, trait_key } = data;
  return { identity: { identifier: identity!.identifier! }, trait_value: trait_value!, trait_key: trait_key! };
}
