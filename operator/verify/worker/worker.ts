import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkerError } from '../../job/failure.ts';
import { type PodContext, runPod } from '../../job/pod.ts';
import { type CheckpointCipher, CIPHER_KEY_FILE, createCheckpointCipher } from '../checkpoint-cipher.ts';
import { verifyRangeSchema } from '../ranges.ts';
import { parseVerifySettings } from '../settings.ts';
import { compareWithRegions } from './compare-with-regions.ts';
import type { VerifyConfiguration } from './configuration.ts';
import { createVerifyMetrics } from './metrics.ts';

/**
 * Runs one verify pod.
 *
 * @throws like {@link runPod}
 */
export async function runVerifyWorker(context: PodContext<VerifyConfiguration>): Promise<void> {
  const { configuration } = context;
  const { mode, authority, onConflict, clearIdentifiers } = configuration.work;
  const seal = await readSeal(configuration);
  await runPod(context, {
    rangeSchema: verifyRangeSchema,
    parseSettings: parseVerifySettings,
    fieldManager: 'verify-worker',
    told: { mode, authority },
    createMetrics: createVerifyMetrics,
    async work(pod, signal) {
      const repair = mode === 'Repair' ? authority : undefined;
      const choices = { seal, onConflict, clearIdentifiers, repair, configuration, regions: pod.range.regions };
      const { totals } = await compareWithRegions(pod, choices, signal);
      return totals;
    },
  });
}

async function readSeal({ rangesDirectory }: VerifyConfiguration): Promise<CheckpointCipher> {
  const file = join(rangesDirectory, CIPHER_KEY_FILE);
  try {
    return createCheckpointCipher(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new WorkerError('rejected', `the key in ${file} cannot be read; plan the comparison again`, { cause });
  }
}
