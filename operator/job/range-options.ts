import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import type { PatienceOptions } from './failure.ts';
import type { WorkerRecord } from './record.ts';

/** With what a range is worked on, whatever the work is, in a pod or alone. */
export interface RangeOptions<Range, Settings, Checkpoint> extends PatienceOptions {
  readonly stores: Stores;
  readonly project: CoreProject;
  readonly range: Range;
  /** Where its progress is kept. */
  readonly record: WorkerRecord;
  /** As they are now; they may change while the work goes on. */
  readonly settings: () => Settings;
  /** The longest life of a write that was sent and not answered. */
  readonly lateWriteMs: number;
  /** Name of this process. */
  readonly instance: string;
  /** Each time that progress was kept. */
  readonly onProgress?: ((checkpoint: Checkpoint) => void) | undefined;
}
