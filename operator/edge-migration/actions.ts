import type {
  CurrentComparison,
  LastComparison,
  Operation,
  Status,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { HandoverStage } from '../handover/job.ts';
import type { VerifySettings } from '../verify/settings.ts';
import type { LiveSettings } from './facts.ts';
import type { StatusRecord } from './record.ts';
import type { UsageSeries } from './usage/series.ts';

/**
 * The actions that a decision asks for, in this order. Each is idempotent: it may be carried out twice, or again by
 * another replica after a crash, and the next pass asks for it again if it did not happen.
 */
export type Action =
  /** Read the range boundaries in Core and write them down. */
  | { kind: 'planRanges'; operation: Operation }
  /** Tell running pods their page size and their share of the write units. */
  | { kind: 'writeLiveSettings'; operation: Operation; settings: LiveSettings }
  | { kind: 'writeVerifySettings'; operation: Operation; settings: VerifySettings }
  /** Start the pods for these ranges; refused while the Job of the previous attempt still runs. */
  | {
      kind: 'createJob';
      operation: Operation;
      attempt: number;
      rangeIds: number[];
      parallelism: number;
      /** For pods that compare: their task. */
      comparison?: Pick<CurrentComparison, 'mode' | 'authority'>;
    }
  | { kind: 'adjustJob'; operation: Operation; attempt: number; uid: string; suspend: boolean; parallelism: number }
  /** Its workers have ended, but its pods do not end by themselves. */
  | { kind: 'removeJob'; operation: Operation; attempt: number; uid: string }
  /** Flagsmith's dashboard shows the project as being migrated, or as migrated. */
  | { kind: 'markStarted' }
  | { kind: 'markCompleted' }
  /** Let Flagsmith's own code hand the project over to Edge, or remove the failed Job, to start it again. */
  | { kind: 'startHandover'; stage: HandoverStage }
  /** Merge the ranges' lists of skipped identities into one ConfigMap. */
  | { kind: 'writeSkippedReport'; operation: Operation }
  /** Write the identities that replay cannot follow completely into one ConfigMap. */
  | { kind: 'writeUnstorableReport'; identities: readonly UnstorableIdentity[] }
  /** Write the outcome of a comparison and its samples into one ConfigMap. */
  | { kind: 'writeVerificationReport'; operation: Operation; comparison: LastComparison }
  /** Bring the audit of the whole migration up to date. */
  | { kind: 'writeAudit'; status: Status }
  /** Add what is known of these days to the series of requests to Core, which holds at most that many days. */
  | { kind: 'writeUsageSeries'; days: UsageSeries['days']; most: number }
  /** Keep what the status says and nothing else could restore. */
  | { kind: 'writeRecord'; record: StatusRecord }
  /** The outcome is in the status: remove ranges and checkpoints, and the Job after a day. */
  | { kind: 'retireWork'; operation: Operation };
