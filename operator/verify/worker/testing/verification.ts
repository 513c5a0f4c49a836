import { recheckDelayOf } from '@edge-migration/identity/edge/replication-lag.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import type { TestProject } from '../../../copy/worker/testing/project.ts';
import { createMemoryRecord } from '../../../job/memory-record.ts';
import type { VerifyCheckpoint } from '../../checkpoint.ts';
import { createCheckpointCipher, createCipherKey } from '../../checkpoint-cipher.ts';
import type { VerifySettings } from '../../settings.ts';
import { wholeProject } from '../standalone.ts';
import type { SampleLine } from '../tally.ts';
import { type VerifyOptions, verifyRange } from '../verify-range.ts';

export interface Verified extends VerifyCheckpoint {
  readonly samples: SampleLine[];
  readonly skipped: Record<string, unknown>[];
}

export const VERIFY_SETTINGS: VerifySettings = {
  pageSize: 100,
  maxReadUnitsPerSecond: 1_000_000,
  maxWriteUnitsPerSecond: 1_000_000,
  appliedUntil: 'none',
};

/** Compares a whole test project. */
export async function verify(
  { stores }: Pick<TestProject, 'stores'>,
  changes: Partial<VerifyOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Verified> {
  const record = changes.record ?? createMemoryRecord();
  const checkpoint = await verifyRange(
    {
      stores,
      regions: [],
      lagMs: 0,
      recheckMs: recheckDelayOf(stores.edge, { replicationLagSeconds: 0.5 }),
      project: stores.project,
      range: wholeProject(stores.project.environments),
      record,
      seal: createCheckpointCipher(createCipherKey()),
      settings: () => VERIFY_SETTINGS,
      onConflict: 'KeepEdge',
      repair: undefined,
      clearIdentifiers: true,
      settleMs: 100,
      replayWaitMs: 60_000,
      retryBudgetMs: 20_000,
      lateWriteMs: 0,
      holdMs: 60_000,
      instance: 'test',
      clock: systemClock,
      logger: createLogger('test', 'silent'),
      ...changes,
    },
    signal,
  );
  const texts = await record.load(signal);
  const linesOf = (key: string) => (texts?.[key] ?? '').split('\n').filter((line) => line !== '');
  const samples = linesOf('samples.jsonl').map((line) => JSON.parse(line));
  return { ...checkpoint, samples, skipped: linesOf('skipped.jsonl').map((line) => JSON.parse(line)) };
}
