import { parseLiveSettings } from '../../edge-migration/parse.ts';
import { type PodContext, runPod } from '../../job/pod.ts';
import { rangeSchema } from '../ranges.ts';
import type { WorkerConfiguration } from './configuration.ts';
import { copyOrPlan } from './copy-or-plan.ts';
import { createCopyMetrics } from './metrics.ts';

/**
 * Runs one copy pod.
 *
 * @throws like {@link runPod}
 */
export async function runWorker(context: PodContext<WorkerConfiguration>): Promise<void> {
  const { work, replicationLagSeconds } = context.configuration;
  await runPod(context, {
    rangeSchema,
    parseSettings: parseLiveSettings,
    fieldManager: 'copy-worker',
    told: { mode: work.mode },
    createMetrics: createCopyMetrics,
    async work(pod, signal) {
      const { positions } = await copyOrPlan(pod, { ...work, replicationLagSeconds }, signal);
      return positions[0]?.totals.counts ?? {};
    },
  });
}
