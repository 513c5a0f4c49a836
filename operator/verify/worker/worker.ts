import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { measureCpuSeconds } from '../../job/consumption.ts';
import { WorkerError } from '../../job/failure.ts';
import { type PodContext, runPod } from '../../job/pod.ts';
import { openStores } from '../../job/stores.ts';
import { type CheckpointCipher, CIPHER_KEY_FILE, createCheckpointCipher } from '../checkpoint-cipher.ts';
import { verifyRangeSchema } from '../ranges.ts';
import { parseVerifySettings } from '../settings.ts';
import type { VerifyConfiguration } from './configuration.ts';
import { HOLD_MS } from './hold.ts';
import { createVerifyMetrics } from './metrics.ts';
import { openRegions } from './regions.ts';
import { verifyRange } from './verify-range.ts';

/**
 * One pod that compares.
 *
 * @throws as {@link runPod}
 */
export async function runVerifyWorker(context: PodContext<VerifyConfiguration>): Promise<void> {
  const { configuration, clock, logger } = context;
  const { work, instance } = configuration;
  const { mode, moment, projectId } = work;
  const seal = await readSeal(configuration);
  await runPod(context, {
    rangeSchema: verifyRangeSchema,
    parseSettings: parseVerifySettings,
    fieldManager: 'verify-worker',
    async work({ range, root, patience, settings, onSettings, record, registry }, signal) {
      const { maxReadUnitsPerSecond, maxWriteUnitsPerSecond } = root.settings;
      const limits = { maxReadUnitsPerSecond, maxWriteUnitsPerSecond };
      await using stores = await openStores({ ...configuration, projectId, ...limits }, { ...patience, signal });
      const settingsOfRegions = { ...configuration, maxReadUnitsPerSecond };
      using regions = await openRegions(stores.edge, settingsOfRegions, range.regions, { ...patience, signal });
      onSettings((changed) => {
        regions.setMaximum(changed.maxReadUnitsPerSecond);
        stores.edge.readBudget?.setMaximum(changed.maxReadUnitsPerSecond);
        stores.edge.budget.setMaximum(changed.maxWriteUnitsPerSecond);
      });
      const onProgress = createVerifyMetrics(registry);
      logger.info({ rangeId: range.rangeId, segments: range.segments.length, mode, moment }, 'comparing a range');
      const { totals } = await verifyRange(
        {
          stores,
          regions: regions.tables,
          lagMs: configuration.replicationLagSeconds * 1000,
          project: stores.project,
          range,
          record,
          seal,
          settings,
          onConflict: work.onConflict,
          repair: mode === 'Repair' ? moment : undefined,
          clearIdentifiers: work.clearIdentifiers,
          settleMs: configuration.settleSeconds * 1000,
          replayPatienceMs: configuration.replayPatienceSeconds * 1000,
          patienceMs: patience.patienceMs,
          lateWriteMs: work.lateWriteSeconds * 1000,
          holdMs: HOLD_MS,
          instance,
          clock,
          logger,
          onProgress,
        },
        signal,
      );
      logger.info({ rangeId: range.rangeId, ...totals, cpuSeconds: measureCpuSeconds() }, 'range is compared');
    },
  });
}

async function readSeal({ rangesDirectory }: VerifyConfiguration): Promise<CheckpointCipher> {
  const file = join(rangesDirectory, CIPHER_KEY_FILE);
  try {
    return createCheckpointCipher(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new WorkerError('rejected', `The key in ${file} cannot be read; plan the comparison again`, { cause });
  }
}
