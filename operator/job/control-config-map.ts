import { LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { WORK_SETTINGS_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { WorkerError } from './failure.ts';

/** The ConfigMap by which the operator controls its pods, and which owns the objects that they create. */
export interface ControlConfigMap<Settings = unknown> {
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly settings: Settings;
}

export interface ControlConfigMapReference<Settings> {
  readonly namespace: string;
  readonly name: string;
  readonly migrationUid: string;
  /** Undefined for a text that is not ours. */
  readonly parseSettings: (text: string | undefined) => Settings | undefined;
}

/**
 * Reads it.
 *
 * @throws WorkerError `transient` if it is gone, of another EdgeMigration or without settings: the migration was
 *   stopped, or the operator is about to write it; ApiError
 */
export async function readRoot<Settings>(
  client: KubernetesClient,
  reference: ControlConfigMapReference<Settings>,
  signal: AbortSignal,
): Promise<ControlConfigMap<Settings>> {
  const { namespace, name, migrationUid, parseSettings } = reference;
  const object = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
  const place = `ConfigMap ${namespace}/${name}`;
  if (object === undefined) throw new WorkerError('transient', `${place} is gone: the migration was stopped`);
  const { labels = {}, annotations = {}, uid = '' } = object.metadata;
  if (labels[LABELS.migrationUid] !== migrationUid) {
    throw new WorkerError('transient', `${place} belongs to another EdgeMigration: this one was deleted`);
  }
  const settings = parseSettings(readData(object)['settings']);
  if (settings === undefined) throw new WorkerError('transient', `${place} has no settings that can be read`);
  return { name, uid, labels, annotations, settings };
}

export const readData = (object: KubernetesObject) => (object['data'] ?? {}) as Readonly<Record<string, string>>;

/**
 * Follows the settings while a pod works. Ends with the signal's reason, or with a WorkerError if the ConfigMap is
 * gone; an unreachable API server has no effect.
 */
export async function followSettings<Settings extends object>(
  client: KubernetesClient,
  reference: ControlConfigMapReference<Settings>,
  onChange: (settings: Settings) => void,
  { clock, logger, signal }: { clock: Clock; logger: Logger; signal: AbortSignal },
): Promise<never> {
  let before = '';
  for (;;) {
    await clock.sleep(WORK_SETTINGS_POLL_MS, signal);
    try {
      const { settings } = await readRoot(client, reference, signal);
      const text = JSON.stringify(settings);
      if (before !== '' && text !== before) logger.debug({ settings }, 'settings changed');
      before = text;
      onChange(settings);
    } catch (error) {
      if (signal.aborted || error instanceof WorkerError) throw error;
      logger.warn({ error: errorMessage(error) }, 'the settings cannot be read; keeping the last ones');
    }
  }
}
