import { parseLiveSettings } from '../../edge-migration/parse.ts';
import { measureCpuSeconds } from '../../job/consumption.ts';
import { type PodContext, runPod } from '../../job/pod.ts';
import { openStores } from '../../job/stores.ts';
import { rangeSchema } from '../ranges.ts';
import type { WorkerConfiguration } from './configuration.ts';
import { copyRange } from './copy-range.ts';
import { createCopyMetrics } from './metrics.ts';
import { createPagePlanner } from './page-planner.ts';
import { createLook, createPageWriter } from './page-writer.ts';

/**
 * One copy pod.
 *
 * @throws as {@link runPod}
 */
export async function runWorker(context: PodContext<WorkerConfiguration>): Promise<void> {
  const { configuration, clock, logger } = context;
  const { work, instance } = configuration;
  const { mode, projectId } = work;
  await runPod(context, {
    rangeSchema,
    parseSettings: parseLiveSettings,
    fieldManager: 'copy-worker',
    async work({ range, root, patience, settings, onSettings, record, registry }, signal) {
      const { maxWriteUnitsPerSecond } = root.settings;
      await using stores = await openStores(
        { ...configuration, projectId, maxWriteUnitsPerSecond },
        { ...patience, signal },
      );
      const { budget } = stores.edge;
      onSettings((changed) => budget.setMaximum(changed.maxWriteUnitsPerSecond));
      const onProgress = createCopyMetrics(registry, budget);
      logger.info({ rangeId: range.rangeId, segments: range.segments.length, mode }, 'working on a range');
      const { positions } = await copyRange(
        {
          stores,
          project: stores.project,
          range,
          record,
          settings,
          handlePage: mode === 'Plan' ? createPagePlanner(stores, stores.tables) : createPageWriter(stores),
          look: mode === 'Plan' ? undefined : createLook(stores, configuration),
          pageMaxAgeMs: work.pageMaxAgeSeconds * 1000,
          lateWriteMs: mode === 'Plan' ? 0 : work.lateWriteSeconds * 1000,
          patienceMs: patience.patienceMs,
          instance,
          clock,
          logger,
          onProgress,
        },
        signal,
      );
      const cpuSeconds = measureCpuSeconds();
      logger.info({ rangeId: range.rangeId, ...positions[0]?.totals.counts, cpuSeconds }, 'range is done');
    },
  });
}
