import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WriteBudget } from '@edge-migration/identity/edge/table/table.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { isStop } from '@edge-migration/runtime/stop.ts';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import type { PodConfiguration } from './configuration.ts';
import { measureCpuSeconds } from './consumption.ts';
import { followSettings, readRoot } from './control-config-map.ts';
import { createRetryContext, WorkerError, withRetry } from './failure.ts';
import type { RangeOptions } from './range-options.ts';
import { createRecord, type WorkerRecord } from './record.ts';
import { type Limits, limitsOf, openWorkerStores, type WorkerStores } from './stores.ts';

export interface PodContext<Configuration extends PodConfiguration = PodConfiguration> {
  readonly configuration: Configuration;
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A pod's range, and everything needed to work on it. */
interface PodRange<Range, Settings, Checkpoint> extends RangeOptions<Range, Settings, Checkpoint> {
  readonly stores: WorkerStores;
  /** Calls `listener` each time the settings are read again. */
  readonly onSettings: (listener: (settings: Settings) => void) => void;
}

/** The specifics of one kind of work. */
export interface PodWork<Range, Settings, Checkpoint> {
  readonly rangeSchema: z.ZodType<Range>;
  readonly parseSettings: (text: string | undefined) => Settings | undefined;
  readonly fieldManager: string;
  /** Its instructions, for the log. */
  readonly told: object;
  /** Registers its metrics; returns a function to call with each checkpoint. */
  readonly createMetrics: (registry: Registry, budget: WriteBudget) => (checkpoint: Checkpoint) => void;
  /** @returns its counts, for the log */
  readonly work: (range: PodRange<Range, Settings, Checkpoint>, signal: AbortSignal) => Promise<object>;
}

/**
 * Runs one pod of a Job: works through the range of its index, follows the settings meanwhile, and stops when the
 * ConfigMap that controls it is gone. The reason of a failure is left where the operator finds it.
 *
 * @throws errors that {@link exitCode} classifies; the signal's reason
 */
export async function runPod<Range extends AnyRange, Settings extends Limits, Checkpoint>(
  context: PodContext,
  kind: PodWork<Range, Settings, Checkpoint>,
): Promise<void> {
  const { configuration, client, clock, logger, signal } = context;
  const { metricsHost: host, metricsPort: port } = configuration;
  const { namespace, settingsName, migrationUid, checkpointName } = configuration.work;
  const { parseSettings, fieldManager } = kind;
  const range = await readRange(configuration, kind.rangeSchema);
  const reference = { namespace, name: settingsName, migrationUid, parseSettings };
  const retryContext = createRetryContext({ clock, logger, retryBudgetMs: retryBudgetOf(configuration) }, signal);
  const root = await withRetry(retryContext, () => readRoot(client, reference, signal));
  const name = `${checkpointName}-${range.rangeId}`;
  const record = createRecord(client, { namespace, name, root, fieldManager });
  const registry = new Registry();
  const live = createLiveSettings(root.settings);
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  const server = port === undefined ? undefined : await startMetricsServer({ registry, host, port });
  const following = followSettings(client, reference, live.change, { clock, logger, signal: either }).catch(
    (error: unknown) => ending.abort(error),
  );
  try {
    await workOnRange({ ...context, signal: either }, kind, { range, record, live, registry });
  } catch (error) {
    if (!isStop(error, signal)) await recordError(record, error, AbortSignal.timeout(5000)).catch(() => {});
    throw error;
  } finally {
    ending.abort(new Error('the work has ended'));
    await following;
    await server?.close();
  }
}

interface AnyRange {
  readonly rangeId: number;
  readonly segments: readonly unknown[];
}

interface Followed<Settings> {
  readonly now: () => Settings;
  readonly listen: (listener: (settings: Settings) => void) => void;
  readonly change: (changed: Settings) => void;
}

function createLiveSettings<Settings>(initial: Settings): Followed<Settings> {
  let settings = initial;
  const listeners: ((settings: Settings) => void)[] = [];
  return {
    now: () => settings,
    listen: (listener) => void listeners.push(listener),
    change(changed) {
      settings = changed;
      for (const listener of listeners) listener(changed);
    },
  };
}

async function workOnRange<Range extends AnyRange, Settings extends Limits, Checkpoint>(
  { configuration, clock, logger, signal }: PodContext,
  { told, createMetrics, work }: PodWork<Range, Settings, Checkpoint>,
  pod: {
    readonly range: Range;
    readonly record: WorkerRecord;
    readonly live: Followed<Settings>;
    readonly registry: Registry;
  },
): Promise<void> {
  const { range, record, live, registry } = pod;
  const { rangeId, segments } = range;
  const { projectId, lateWriteSeconds } = configuration.work;
  const retryOptions = { clock, logger, retryBudgetMs: retryBudgetOf(configuration) };
  const limits = { projectId, ...limitsOf(live.now()) };
  await using stores = await openWorkerStores(
    { ...configuration, ...limits },
    createRetryContext(retryOptions, signal),
  );
  const { budget, readBudget } = stores.edge;
  live.listen((changed) => {
    budget.setMaximum(changed.maxWriteUnitsPerSecond);
    if (changed.maxReadUnitsPerSecond !== undefined) readBudget?.setMaximum(changed.maxReadUnitsPerSecond);
  });
  const onProgress = createMetrics(registry, budget);
  logger.info({ rangeId, segments: segments.length, ...told }, 'working on a range');
  const counts = await work(
    {
      ...retryOptions,
      ...{ stores, project: stores.project, range, record },
      settings: live.now,
      onSettings: live.listen,
      lateWriteMs: lateWriteSeconds * 1000,
      instance: configuration.instance,
      onProgress,
    },
    signal,
  );
  logger.info({ rangeId, ...counts, cpuSeconds: measureCpuSeconds() }, 'range is done');
}

const retryBudgetOf = ({ retryBudgetSeconds }: PodConfiguration) => retryBudgetSeconds * 1000;

/** The Job's index selects the range; its file has the content. */
async function readRange<Range>(
  { rangesDirectory, rangeIndex, work: { rangeIds } }: PodConfiguration,
  schema: z.ZodType<Range>,
): Promise<Range> {
  const rangeId = rangeIds[rangeIndex];
  if (rangeId === undefined) {
    throw new WorkerError('misconfigured', `index ${rangeIndex} has no range among ${rangeIds.length}`);
  }
  const file = join(rangesDirectory, String(rangeId));
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    // The content is personal data, and a parser's message may quote it.
    throw new WorkerError('rejected', `the range in ${file} cannot be read; plan the migration again`, { cause });
  }
}

/** Saves the reason of a failure where the operator finds it, unless another pod has taken over the range. */
async function recordError(record: WorkerRecord, error: unknown, signal: AbortSignal): Promise<void> {
  const texts = record.known();
  if (texts?.['checkpoint'] === undefined) return;
  const checkpoint = { ...JSON.parse(texts['checkpoint']), identitiesPerSecond: 0, lastError: errorMessage(error) };
  await record.save({ ...texts, checkpoint: JSON.stringify(checkpoint) }, signal);
}
