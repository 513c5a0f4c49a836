import { recheckDelayOf } from '@edge-migration/identity/edge/replication-lag.ts';
import type { EdgeSettings } from '@edge-migration/identity/edge/table/table.ts';
import { createRetryContext } from '../../job/failure.ts';
import type { RangeOptions } from '../../job/range-options.ts';
import type { WorkerStores } from '../../job/stores.ts';
import type { VerifyCheckpoint } from '../checkpoint.ts';
import type { VerifySettings } from '../settings.ts';
import { HOLD_MS } from './hold.ts';
import { openRegions } from './regions.ts';
import { type VerifyOptions, verifyRange } from './verify-range.ts';

/** The scope of a comparison, and the handling of its findings. */
export interface VerifyChoices extends Pick<VerifyOptions, 'seal' | 'onConflict' | 'clearIdentifiers' | 'repair'> {
  /** Regions whose copies are compared with the home region. */
  readonly regions: readonly string[];
  readonly configuration: EdgeSettings & {
    readonly replicationLagSeconds: number;
    readonly settleSeconds: number;
    readonly replayWaitSeconds: number;
  };
}

/**
 * Compares a range, including other regions if there are any.
 *
 * @throws like {@link verifyRange}; errors of the other regions' tables
 */
export async function compareWithRegions(
  range: RangeOptions<VerifyOptions['range'], VerifySettings, VerifyCheckpoint> & {
    readonly stores: WorkerStores;
    readonly onSettings?: (listener: (settings: VerifySettings) => void) => void;
  },
  { regions: names, configuration, ...choices }: VerifyChoices,
  signal: AbortSignal,
): Promise<VerifyCheckpoint> {
  const { maxReadUnitsPerSecond } = range.settings();
  const settings = { ...configuration, maxReadUnitsPerSecond };
  using regions = await openRegions(range.stores.edge, settings, names, createRetryContext(range, signal));
  range.onSettings?.((changed) => regions.setMaximum(changed.maxReadUnitsPerSecond));
  return await verifyRange(
    {
      ...range,
      ...choices,
      regions: regions.tables,
      lagMs: configuration.replicationLagSeconds * 1000,
      settleMs: configuration.settleSeconds * 1000,
      replayWaitMs: configuration.replayWaitSeconds * 1000,
      recheckMs: recheckDelayOf(range.stores.edge, configuration),
      holdMs: HOLD_MS,
    },
    signal,
  );
}
