import { createMemoryRecord } from '../../../job/memory-record.ts';
import type { WorkerRecord } from '../../../job/record.ts';
import { type Checkpoint, readCheckpoint } from '../../checkpoint.ts';

/** A copy's saved checkpoint and the lists next to it. */
interface Kept {
  readonly checkpoint: Checkpoint;
  readonly skipped: string;
  readonly differing: string;
}

/** A record of a copy that can be read in parsed form. */
export function createCopyRecord(initial?: Kept): WorkerRecord & { current(): Kept | undefined } {
  const { texts, ...record } = createMemoryRecord(
    initial && {
      checkpoint: JSON.stringify(initial.checkpoint),
      'skipped.jsonl': initial.skipped,
      'differing.jsonl': initial.differing,
    },
  );
  return {
    ...record,
    current() {
      const { checkpoint: text, 'skipped.jsonl': skipped = '', 'differing.jsonl': differing = '' } = texts();
      const checkpoint = readCheckpoint(text);
      return checkpoint && { checkpoint, skipped, differing };
    },
  };
}
