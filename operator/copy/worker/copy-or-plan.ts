import type { LiveSettings } from '../../edge-migration/facts.ts';
import type { RangeOptions } from '../../job/range-options.ts';
import type { WorkerStores } from '../../job/stores.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { Range } from '../ranges.ts';
import { type CopyOptions, copyRange } from './copy-range.ts';
import { createPagePlanner } from './page-planner.ts';
import { createPageWriter, createRecheck } from './page-writer.ts';

export interface CopyChoices {
  /** `Plan` reads and counts only. */
  readonly mode: 'Plan' | 'Migrate';
  readonly pageMaxAgeSeconds: number;
  readonly replicationLagSeconds: number;
}

/**
 * Copies a range, or only determines what that would do.
 *
 * @throws like {@link copyRange}
 */
export function copyOrPlan(
  range: RangeOptions<Range, LiveSettings, Checkpoint> & Pick<CopyOptions, 'onSkipped'> & { stores: WorkerStores },
  { mode, pageMaxAgeSeconds, replicationLagSeconds }: CopyChoices,
  signal: AbortSignal,
): Promise<Checkpoint> {
  const { stores } = range;
  const pageMaxAgeMs = pageMaxAgeSeconds * 1000;
  if (mode === 'Plan') {
    const handlePage = createPagePlanner(stores, stores.tables);
    // It sends no writes, so none can arrive late.
    return copyRange({ ...range, handlePage, pageMaxAgeMs, lateWriteMs: 0 }, signal);
  }
  const recheck = createRecheck(stores, { replicationLagSeconds });
  return copyRange({ ...range, handlePage: createPageWriter(stores), recheck, pageMaxAgeMs }, signal);
}
