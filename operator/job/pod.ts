import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import type { PodConfiguration } from './configuration.ts';
import { type ControlConfigMap, followSettings, readRoot } from './control-config-map.ts';
import { type Patience, WorkerError, withPatience } from './failure.ts';
import { createRecord, type WorkerRecord } from './record.ts';

export interface PodContext<Configuration extends PodConfiguration = PodConfiguration> {
  readonly configuration: Configuration;
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** What a pod works with once it knows what it has to do. */
interface Pod<Settings, Range> {
  readonly range: Range;
  readonly root: ControlConfigMap<Settings>;
  readonly patience: Patience;
  /** As they are now; they may change at any time. */
  readonly settings: () => Settings;
  /** Calls `listener` whenever they were read again. */
  readonly onSettings: (listener: (settings: Settings) => void) => void;
  /** Where the range's progress is kept. */
  readonly record: WorkerRecord;
  readonly registry: Registry;
}

interface PodWork<Settings, Range> {
  readonly rangeSchema: z.ZodType<Range>;
  readonly parseSettings: (text: string | undefined) => Settings | undefined;
  readonly fieldManager: string;
  readonly work: (pod: Pod<Settings, Range>, signal: AbortSignal) => Promise<void>;
}

/**
 * One pod of a Job: works through the range that its index stands for, follows the settings meanwhile, and stops when
 * the ConfigMap that it lives by is gone. What it fails of is left where the operator finds it.
 *
 * @throws what {@link exitCode} sorts; the signal's reason
 */
export async function runPod<Settings extends object, Range extends { rangeId: number }>(
  { configuration, client, clock, logger, signal }: PodContext,
  { rangeSchema, parseSettings, fieldManager, work }: PodWork<Settings, Range>,
): Promise<void> {
  const { metricsHost: host, metricsPort: port } = configuration;
  const { namespace, settingsName, migrationUid, checkpointName } = configuration.work;
  const range = await readRange(configuration, rangeSchema);
  const patience = {
    clock,
    patienceMs: configuration.patienceSeconds * 1000,
    signal,
    onRetry: (error: unknown) => logger.warn({ error: errorMessage(error) }, 'trying again'),
  };
  const reference = { namespace, name: settingsName, migrationUid, parseSettings };
  const root = await withPatience(patience, () => readRoot(client, reference, signal));
  const name = `${checkpointName}-${range.rangeId}`;
  const record = createRecord(client, { namespace, name, root, fieldManager });
  const registry = new Registry();
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  let { settings } = root;
  const listeners: ((settings: Settings) => void)[] = [];
  const onChange = (changed: Settings) => {
    settings = changed;
    for (const listener of listeners) listener(changed);
  };
  const server = port === undefined ? undefined : await startMetricsServer({ registry, host, port });
  const following = followSettings(client, reference, onChange, { clock, logger, signal: either }).catch(
    (error: unknown) => ending.abort(error),
  );
  try {
    const onSettings = (listener: (settings: Settings) => void) => void listeners.push(listener);
    await work({ range, root, patience, settings: () => settings, onSettings, record, registry }, either);
  } catch (error) {
    if (!signal.aborted) await recordError(record, error, AbortSignal.timeout(5000)).catch(() => {});
    throw error;
  } finally {
    ending.abort(new Error('The work has ended'));
    await following;
    await server?.close();
  }
}

/** The Job's index says which of its ranges; the file says what is in it. */
async function readRange<Range>(
  { rangesDirectory, rangeIndex, work: { rangeIds } }: PodConfiguration,
  schema: z.ZodType<Range>,
): Promise<Range> {
  const rangeId = rangeIds[rangeIndex];
  if (rangeId === undefined) {
    throw new WorkerError('misconfigured', `Index ${rangeIndex} has no range among ${rangeIds.length}`);
  }
  const file = join(rangesDirectory, String(rangeId));
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    // The content is personal data, and so may be what a parser says about it.
    throw new WorkerError('rejected', `The range in ${file} cannot be read; plan the migration again`, { cause });
  }
}

/** Leaves the reason of a failure where the operator finds it, unless another pod has the range by now. */
async function recordError(record: WorkerRecord, error: unknown, signal: AbortSignal): Promise<void> {
  const texts = record.known();
  if (texts?.['checkpoint'] === undefined) return;
  const checkpoint = { ...JSON.parse(texts['checkpoint']), identitiesPerSecond: 0, lastError: errorMessage(error) };
  await record.save({ ...texts, checkpoint: JSON.stringify(checkpoint) }, signal);
}
