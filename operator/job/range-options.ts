import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import type { RetryContextOptions } from './failure.ts';
import type { WorkerRecord } from './record.ts';

/** Options common to all kinds of work on a range, in a pod or alone. */
export interface RangeOptions<Range, Settings, Checkpoint> extends RetryContextOptions {
  readonly stores: Stores;
  readonly project: CoreProject;
  readonly range: Range;
  /** Stores its progress. */
  readonly record: WorkerRecord;
  /** The current ones; they may change during the work. */
  readonly settings: () => Settings;
  /** The maximum time after which an unanswered write can still take effect. */
  readonly lateWriteMs: number;
  /** Name of this process. */
  readonly instance: string;
  /** Called each time progress was saved. */
  readonly onProgress?: ((checkpoint: Checkpoint) => void) | undefined;
}
