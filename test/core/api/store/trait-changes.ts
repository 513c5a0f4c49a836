import type { Value } from '../python/value.ts';
import type { Session } from './session.ts';
import {
  createTraits,
  deleteTraits,
  listTraits,
  newTrait,
  type Trait,
  type TraitChange,
  traitColumns,
  traitValue,
  updateTraits,
} from './traits.ts';

/** A trait in the format of the SDK endpoints. */
export interface ShownTrait {
  readonly id: bigint | null;
  readonly trait_key: string;
  readonly trait_value: Value;
  readonly transient: boolean;
}

export interface SdkTrait extends TraitChange {
  /** Neither written nor deleted, only used for this answer. */
  readonly transient: boolean;
}

/**
 * The traits of an identity that this very request created: nulls are ignored, the rest is inserted in one statement,
 * so that a duplicate key or a value out of range fails all of them and leaves the identity without traits.
 */
export async function traitsOfNewIdentity(
  session: Session,
  identityId: bigint,
  items: readonly SdkTrait[],
  persist: boolean,
): Promise<ShownTrait[]> {
  const given = items.filter(({ value }) => value !== null);
  if (!persist) return given.map((item) => show(newTrait(item.key, item.value), item.transient));
  const stored = given.filter(({ transient }) => !transient).map(({ key, value }) => newTrait(key, value));
  const created = await createTraits(session, identityId, stored, 'fail');
  const ids = new Map(created.map(({ trait_key, id }) => [trait_key, id]));
  return given.map(({ key, value, transient }) =>
    show({ ...newTrait(key, value), id: transient ? null : (ids.get(key) ?? null) }, transient),
  );
}

/**
 * The update of an existing identity, in three steps that commit separately: delete nulls, update stored traits,
 * insert the rest. Hence the order of the items does not matter: null beside a value for a stored key deletes
 * it, and of two values for a key that is not stored the first is kept.
 *
 * @returns Core's answer, which is not always what is stored
 */
export async function changeTraits(
  session: Session,
  identityId: bigint,
  items: readonly SdkTrait[],
): Promise<ShownTrait[]> {
  const current = new Map((await listTraits(session.read, identityId)).map((trait) => [trait.trait_key, trait]));
  const deleted = items.filter(({ transient, value }) => !transient && value === null).map(({ key }) => key);
  const updated = new Map<string, Trait>();
  const created: Trait[] = [];
  for (const { key, value, transient } of items) {
    if (transient || value === null) continue;
    const stored = updated.get(key) ?? current.get(key);
    if (stored === undefined) created.push(newTrait(key, value));
    else if (!isUnchanged(stored, value)) updated.set(key, { ...stored, ...traitColumns(value) });
  }
  if (deleted.length > 0)
    await deleteTraits(session, 'identity_id = $1 AND trait_key = ANY ($2)', [identityId, deleted]);
  await updateTraits(session, [...updated.values()]);
  await createTraits(session, identityId, created, 'ignore');

  for (const key of deleted) current.delete(key);
  const shown = new Map([...current].map(([key, trait]) => [key, show(trait, false)]));
  for (const trait of [...updated.values(), ...created]) shown.set(trait.trait_key, show(trait, false));
  for (const trait of transientTraits(items)) shown.set(trait.trait_key, trait);
  return [...shown.values()];
}

/** Traits for one answer only, on top of the stored ones. */
export async function overlayTraits(
  session: Session,
  identityId: bigint,
  items: readonly SdkTrait[],
  transient: boolean,
): Promise<ShownTrait[]> {
  const stored = (await listTraits(session.read, identityId)).map((trait) => show(trait, false));
  const given = items
    .filter(({ value }) => value !== null)
    .map((item) => show(newTrait(item.key, item.value), transient || item.transient));
  return [...new Map([...stored, ...given].map((trait) => [trait.trait_key, trait])).values()];
}

export function transientTraits(items: readonly SdkTrait[]): ShownTrait[] {
  return items.filter(({ transient }) => transient).map(({ key, value }) => show(newTrait(key, value), true));
}

export function show(trait: Trait, transient: boolean): ShownTrait {
  return { id: trait.id, trait_key: trait.trait_key, trait_value: traitValue(trait), transient };
}

function isUnchanged(stored: Trait, value: Value): boolean {
  return stored.value_type === traitColumns(value).value_type && traitValue(stored) === value;
}
