import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { Registry } from 'prom-client';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { errorMessage } from '../../kubernetes/errors.ts';
import { startMetricsServer } from '../../kubernetes/metrics-server.ts';
import { type Range, rangeSchema } from '../ranges.ts';
import type { Checkpoints } from './checkpoints.ts';
import { createConfigMapCheckpoints } from './configmap-checkpoints.ts';
import type { WorkerConfiguration } from './configuration.ts';
import { copyRange } from './copy-range.ts';
import { WorkerError, withPatience } from './failure.ts';
import { createCopyMetrics } from './metrics.ts';
import { createPagePlanner } from './page-planner.ts';
import { createPageWriter } from './page-writer.ts';
import { followSettings, readRoot } from './root.ts';
import { type OpenStores, openStores } from './stores.ts';

export interface WorkerContext {
  readonly configuration: WorkerConfiguration;
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * One copy pod: works through the range that its index stands for.
 *
 * @throws what {@link failureKind} sorts; the signal's reason
 */
export async function runWorker(context: WorkerContext): Promise<void> {
  const { configuration, client, clock, logger, signal } = context;
  const { namespace, settingsName, migrationUid } = configuration;
  const range = await readRange(configuration);
  const patience = {
    clock,
    milliseconds: configuration.patienceSeconds * 1000,
    signal,
    onRetry: (error: unknown) => logger.warn({ error: errorMessage(error) }, 'trying again'),
  };
  const reference = { namespace, name: settingsName, migrationUid };
  const root = await withPatience(patience, () => readRoot(client, reference, signal));
  const { maxWriteUnitsPerSecond } = root.settings;
  await using stores = await openStores({ ...configuration, maxWriteUnitsPerSecond }, patience);
  const name = `${configuration.checkpointName}-${range.rangeId}`;
  const checkpoints = createConfigMapCheckpoints(client, { namespace, name, root });

  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  let { settings } = root;
  const following = followSettings(
    client,
    reference,
    (changed) => {
      settings = changed;
      stores.edge.budget.setMaximum(changed.maxWriteUnitsPerSecond);
    },
    { clock, logger, signal: either },
  ).catch((error: unknown) => ending.abort(error));
  try {
    await copy(context, { stores, range, checkpoints, settings: () => settings }, either);
  } catch (error) {
    if (!signal.aborted) await recordError(checkpoints, error, AbortSignal.timeout(5000)).catch(() => {});
    throw error;
  } finally {
    ending.abort(new Error('The copy has ended'));
    await following;
  }
}

interface Work {
  stores: OpenStores;
  range: Range;
  checkpoints: Checkpoints;
  settings: Parameters<typeof copyRange>[0]['settings'];
}

async function copy(
  { configuration, clock, logger }: WorkerContext,
  { stores, range, checkpoints, settings }: Work,
  signal: AbortSignal,
): Promise<void> {
  const { mode, metricsHost: host, metricsPort: port, instance } = configuration;
  const registry = new Registry();
  const onProgress = createCopyMetrics(registry, stores.edge.budget);
  const server = port === undefined ? undefined : await startMetricsServer({ registry, host, port });
  try {
    logger.info({ rangeId: range.rangeId, segments: range.segments.length, mode }, 'working on a range');
    const { positions } = await copyRange(
      {
        stores,
        project: stores.project,
        range,
        checkpoints,
        settings,
        handlePage: mode === 'Plan' ? createPagePlanner(stores, stores.tables) : createPageWriter(stores),
        pageMaxAgeMilliseconds: configuration.pageMaxAgeSeconds * 1000,
        patienceMilliseconds: configuration.patienceSeconds * 1000,
        instance,
        clock,
        logger,
        onProgress,
      },
      signal,
    );
    const { user, system } = process.cpuUsage();
    const cpuSeconds = (user + system) / 1e6;
    logger.info({ rangeId: range.rangeId, ...positions[0]?.totals.counts, cpuSeconds }, 'range is done');
  } finally {
    await server?.close();
  }
}

/** The Job's index says which of its ranges; the file says what is in it. */
async function readRange({ rangesDirectory, rangeIndex, rangeIds }: WorkerConfiguration): Promise<Range> {
  const rangeId = rangeIds === undefined ? rangeIndex : rangeIds[rangeIndex];
  if (rangeId === undefined) {
    throw new WorkerError('misconfigured', `Index ${rangeIndex} has no range among ${rangeIds?.length ?? 0}`);
  }
  const file = join(rangesDirectory, String(rangeId));
  try {
    return rangeSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    // The content is personal data, and so may be what a parser says about it.
    throw new WorkerError('poisoned', `The range in ${file} cannot be read; plan the migration again`, { cause });
  }
}

/** Leaves the reason of a failure where the operator finds it. */
async function recordError(checkpoints: Checkpoints, error: unknown, signal: AbortSignal): Promise<void> {
  const saved = await checkpoints.load(signal);
  if (saved === undefined) return;
  const checkpoint = { ...saved.checkpoint, identitiesPerSecond: 0, lastError: errorMessage(error) };
  await checkpoints.save({ ...saved, checkpoint }, signal);
}
