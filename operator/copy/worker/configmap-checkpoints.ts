import type { WorkerRecord } from '../../job/record.ts';
import { readCheckpoint } from '../checkpoint.ts';
import type { Checkpoints } from './checkpoints.ts';

/** Keeps a range's checkpoint and its lists of single identities in a ConfigMap. */
export function createConfigMapCheckpoints(record: WorkerRecord): Checkpoints {
  return {
    async load(signal) {
      const data = await record.load(signal);
      const checkpoint = readCheckpoint(data?.['checkpoint'] ?? '');
      if (checkpoint === undefined) return undefined;
      return { checkpoint, skipped: data?.['skipped.jsonl'] ?? '', differing: data?.['differing.jsonl'] ?? '' };
    },

    save: ({ checkpoint, skipped, differing }, signal) =>
      record.save(
        { checkpoint: JSON.stringify(checkpoint), 'skipped.jsonl': skipped, 'differing.jsonl': differing },
        signal,
      ),
  };
}
