import type { Checkpoint } from '../checkpoint.ts';

/** What is kept of a range between pages. */
export interface SavedRange {
  readonly checkpoint: Checkpoint;
  /** One JSON object a line: identities that Edge cannot hold. */
  readonly skipped: string;
  /** One JSON object a line: documents that differed from Core when they were found. */
  readonly differing: string;
}

/** Where a range's progress is kept. */
export interface Checkpoints {
  /** Undefined when there is none. */
  load(signal: AbortSignal): Promise<SavedRange | undefined>;
  save(saved: SavedRange, signal: AbortSignal): Promise<void>;
}

/** For a worker that nobody resumes. */
export function createMemoryCheckpoints(initial?: SavedRange): Checkpoints & { current(): SavedRange | undefined } {
  let current = initial;
  return {
    load: async () => current,
    save: async (saved) => {
      current = saved;
    },
    current: () => current,
  };
}
