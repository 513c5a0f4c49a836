import type { Dict, Value } from '../python/value.ts';
import { deleteStates, findStates, LIVE, removeStates } from './feature-states.ts';
import { createFeature, type Feature, findFeatures } from './features.ts';
import { createOption, listOptions } from './options.ts';
import type { Session } from './session.ts';
import { setValue } from './state-values.ts';

/** The target of the import, and whether existing data is kept. */
export interface ImportTarget {
  readonly environmentId: bigint;
  readonly projectId: bigint;
  readonly strategy: 'SKIP' | 'OVERWRITE_DESTRUCTIVE';
}

const COLUMNS = { int: 'integer_value', bool: 'boolean_value', unicode: 'string_value' } as const;

/** The background task of an import: one feature after another, without validating the file's entries. */
export async function importFeatures(session: Session, target: ImportTarget, features: Value): Promise<void> {
  if (!Array.isArray(features)) throw new TypeError('string indices must be integers');
  for (const data of features as Dict[]) {
    const name = data.get('name') as string;
    const [existing] = await findFeatures(session.read, 'project_id = $1 AND name = $2', [target.projectId, name]);
    if (existing !== undefined && target.strategy === 'SKIP') continue;
    const feature = existing ?? (await createImported(session, target.projectId, data));
    await overwrite(session, target.environmentId, feature, data);
  }
}

function createImported(session: Session, projectId: bigint, data: Dict): Promise<Feature> {
  return createFeature(session, {
    projectId,
    name: data.get('name') as string,
    type: (data.get('multivariate') as Value[]).length > 0 ? 'MULTIVARIATE' : 'STANDARD',
    initialValue: data.get('initial_value') as string | null,
    enabled: data.get('default_enabled') as boolean,
  });
}

/** Removes all overrides in the environment, and gives its own state the file's options and value. */
async function overwrite(session: Session, environmentId: bigint, feature: Feature, data: Dict): Promise<void> {
  const here = 's.environment_id = $1 AND s.feature_id = $2';
  const values = [environmentId, feature.id];
  await session.atomic((query) => removeStates(query, `${here} AND s.feature_segment_id IS NOT NULL`, values));
  await deleteStates(session, `${here} AND s.identity_id IS NOT NULL`, values);
  const [state] = await findStates(session.read, `${here} AND s.identity_id IS NULL AND ${LIVE}`, values);
  const imported = await importOptions(session, state!.id, feature.id, data.get('multivariate') as Dict[]);
  await session.write(
    `UPDATE multivariate_multivariatefeaturestatevalue SET percentage_allocation = 0
     WHERE feature_state_id = $1 AND multivariate_feature_option_id <> ALL ($2)`,
    [state!.id, imported],
  );
  const type = data.get('type') as keyof typeof COLUMNS;
  await setValue(session, state!.id, { type, [COLUMNS[type]]: data.get('value') });
  await session.write('UPDATE features_featurestate SET enabled = $2, updated_at = now() WHERE id = $1', [
    state!.id,
    data.get('enabled') as boolean,
  ]);
}

/** Matches options by type and value. @returns ids of those of the file */
async function importOptions(session: Session, stateId: bigint, featureId: bigint, options: readonly Dict[]) {
  const existing = await listOptions(session.read, featureId);
  const ids: bigint[] = [];
  for (const data of options) {
    const type = data.get('type') as keyof typeof COLUMNS;
    const value = data.get('value') ?? null;
    const found = existing.find((option) => option['type'] === type && option[COLUMNS[type]] === value);
    const share = Number(data.get('default_percentage_allocation'));
    const columns = { type, [COLUMNS[type]]: value, default_percentage_allocation: share };
    const { id } = found ?? (await createOption(session, featureId, columns));
    ids.push(id);
    await session.write(
      `UPDATE multivariate_multivariatefeaturestatevalue SET percentage_allocation = $3
       WHERE feature_state_id = $1 AND multivariate_feature_option_id = $2`,
      [stateId, id, Number(data.get('percentage_allocation'))],
    );
  }
  return ids;
}
