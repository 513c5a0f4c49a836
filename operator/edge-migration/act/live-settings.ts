import { OPERATOR_FIELD_MANAGER, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import type { VerifySettings } from '../../verify/settings.ts';
import type { LiveSettings } from '../facts.ts';
import type { ActionContext, ActionTarget } from './context.ts';

/** Writes the settings of a running copy into the root ConfigMap, which each of its pods reads every few seconds. */
export async function writeLiveSettings(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
  settings: LiveSettings | VerifySettings,
) {
  const name = objectNames(migration, operation).root;
  const root = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
  // Removed meanwhile: the next pass plans again.
  if (root === undefined) return;
  const { resourceVersion } = root.metadata;
  const patch = { metadata: { resourceVersion }, data: { settings: JSON.stringify(settings) } };
  await client.patch(CONFIG_MAPS, { namespace, name }, patch, { fieldManager: OPERATOR_FIELD_MANAGER, signal });
  logger.info({ ...settings }, 'changed the live settings of the pods');
}
