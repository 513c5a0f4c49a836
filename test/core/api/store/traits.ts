import type { Value } from '../python/value.ts';
import { isDuplicate, type Query, type Session } from './session.ts';

export interface Trait {
  readonly id: bigint | null;
  readonly trait_key: string;
  readonly value_type: string | null;
  readonly boolean_value: boolean | null;
  readonly integer_value: bigint | null;
  readonly string_value: string | null;
  readonly float_value: number | null;
}

/** An SDK's request to set a trait, or with null to delete it. */
export interface TraitChange {
  readonly key: string;
  readonly value: Value;
}

const COLUMNS = 'id, trait_key, value_type, boolean_value, integer_value, string_value, float_value';

/** Only the column that `value_type` selects counts. */
export function traitValue(trait: Trait): Value {
  const columns = {
    int: trait.integer_value,
    unicode: trait.string_value,
    bool: trait.boolean_value,
    float: trait.float_value,
  };
  return columns[trait.value_type as keyof typeof columns] ?? null;
}

/** The two columns that setting a value changes; the others are unchanged. */
export function traitColumns(value: Value): Partial<Trait> {
  if (typeof value === 'bigint') return { value_type: 'int', integer_value: value };
  if (typeof value === 'number') return { value_type: 'float', float_value: value };
  if (typeof value === 'boolean') return { value_type: 'bool', boolean_value: value };
  return { value_type: 'unicode', string_value: value as string | null };
}

/** A trait that is not in the database. */
export function newTrait(key: string, value: Value): Trait {
  return { ...EMPTY, value_type: 'unicode', trait_key: key, ...traitColumns(value) };
}

const EMPTY = { id: null, boolean_value: null, integer_value: null, string_value: null, float_value: null };

export async function listTraits(read: Query, identityId: bigint): Promise<Trait[]> {
  return read<Trait>(`SELECT ${COLUMNS} FROM environments_trait WHERE identity_id = $1 ORDER BY id`, [identityId]);
}

export async function findTrait(read: Query, identityId: bigint, id: bigint): Promise<Trait | undefined> {
  const [trait] = await read<Trait>(`SELECT ${COLUMNS} FROM environments_trait WHERE identity_id = $1 AND id = $2`, [
    identityId,
    id,
  ]);
  return trait;
}

/** All or none; for duplicate keys the first if conflicts are ignored, otherwise none and an error. */
export async function createTraits(
  session: Session,
  identityId: bigint,
  traits: readonly Trait[],
  onConflict: 'ignore' | 'fail',
): Promise<Trait[]> {
  if (traits.length === 0) return [];
  return session.atomic(async (query) => {
    const created: Trait[] = [];
    for (const trait of traits) created.push(...(await insertTrait(query, identityId, trait, onConflict)));
    return created;
  });
}

export async function updateTraits(session: Session, traits: readonly Trait[]): Promise<void> {
  if (traits.length === 0) return;
  await session.atomic(async (query) => {
    for (const trait of traits) await saveTrait(query, trait);
  });
}

/** Django's `update_or_create`: one transaction, retried as an update if another request was first. */
export async function setTrait(session: Session, identityId: bigint, key: string, value: Value): Promise<Trait> {
  const set = () =>
    session.atomic(async (query) => {
      const [current] = await query<Trait>(
        `SELECT ${COLUMNS} FROM environments_trait WHERE identity_id = $1 AND trait_key = $2 FOR UPDATE`,
        [identityId, key],
      );
      if (current === undefined) return (await insertTrait(query, identityId, newTrait(key, value), 'fail'))[0]!;
      const trait = { ...current, ...traitColumns(value) };
      await saveTrait(query, trait);
      return trait;
    });
  return set().catch((error: unknown) => {
    if (!isDuplicate(error)) throw error;
    return set();
  });
}

/** Django's `get_or_create`. */
export async function getOrCreateTrait(
  session: Session,
  identityId: bigint,
  key: string,
  initial: Partial<Trait>,
): Promise<Trait> {
  const find = async () => (await listTraits(session.read, identityId)).find(({ trait_key }) => trait_key === key);
  const existing = await find();
  if (existing !== undefined) return existing;
  const trait = { ...EMPTY, value_type: 'unicode', trait_key: key, ...initial };
  const [created] = await createTraits(session, identityId, [trait], 'ignore');
  return created ?? (await find())!;
}

export async function deleteTraits(session: Session, condition: string, values: readonly Value[]): Promise<void> {
  await session.write(`DELETE FROM environments_trait WHERE ${condition}`, values);
}

/** Deletes the key from every identity of the environment. */
export async function deleteTraitKey(session: Session, environmentId: bigint, key: string): Promise<void> {
  const identities = 'identity_id IN (SELECT id FROM environments_identity WHERE environment_id = $1)';
  await deleteTraits(session, `${identities} AND trait_key = $2`, [environmentId, key]);
}

async function insertTrait(query: Query, identityId: bigint, trait: Trait, onConflict: 'ignore' | 'fail') {
  return query<Trait>(
    `INSERT INTO environments_trait
       (identity_id, trait_key, value_type, boolean_value, integer_value, string_value, float_value, created_date)
     VALUES ($1, $2, $3, $4, $5, $6, $7, now())
     ${onConflict === 'ignore' ? 'ON CONFLICT DO NOTHING' : ''} RETURNING ${COLUMNS}`,
    [identityId, ...columnValues(trait)],
  );
}

async function saveTrait(query: Query, trait: Trait): Promise<void> {
  await query(
    `UPDATE environments_trait SET trait_key = $2, value_type = $3, boolean_value = $4, integer_value = $5,
       string_value = $6, float_value = $7 WHERE id = $1`,
    [trait.id, ...columnValues(trait)],
  );
}

function columnValues(trait: Trait): Value[] {
  const { trait_key, value_type, boolean_value, integer_value, string_value, float_value } = trait;
  return [trait_key, value_type, boolean_value, integer_value, string_value, float_value];
}
