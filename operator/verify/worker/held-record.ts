import { z } from 'zod';
import { RangeTakenOverError } from '../../job/failure.ts';
import type { WorkerRecord } from '../../job/record.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { type Candidate, candidateSchema } from './candidates.ts';

/** A range's record that one pod holds at a time: the one that has taken it last. */
export interface HeldRecord extends WorkerRecord {
  /** What the pod before may have been repairing when it ended. */
  readonly interrupted: readonly Candidate[];
  /**
   * Makes sure that the record is still this pod's, and writes down, beside what was saved last, what is about to be
   * repaired. The next save removes it. Until what was interrupted is seen to, all of that stays written down.
   *
   * @throws RangeTakenOverError, as `save` does, when another pod has taken the record
   */
  claim(repairing: readonly Candidate[], signal: AbortSignal): Promise<void>;
  /** All that was interrupted has been looked at again. */
  seeTo(): void;
}

export interface HolderOptions {
  /** Name of this pod. */
  readonly instance: string;
  readonly seal: CheckpointCipher;
}

type Texts = Readonly<Record<string, string>>;

/** Takes the record from whichever pod had it. */
export async function holdRecord(
  record: WorkerRecord,
  { instance, seal }: HolderOptions,
  signal: AbortSignal,
): Promise<HeldRecord> {
  let kept: Texts = (await record.load(signal)) ?? {};
  await record.save({ ...kept, holder: instance }, signal);

  async function write(texts: Texts, signal: AbortSignal): Promise<void> {
    const holder = (await record.load(signal))?.['holder'];
    if (holder !== instance) throw new RangeTakenOverError(holder ?? 'unknown');
    await record.save({ ...texts, holder: instance }, signal);
  }

  const interrupted = z.array(candidateSchema).safeParse(seal.decrypt(kept['repairing'] ?? '')).data ?? [];
  let isSeenTo = interrupted.length === 0;

  return {
    interrupted,
    load: async () => kept,
    known: record.known,
    async save(texts, signal) {
      await write(texts, signal);
      kept = texts;
    },
    claim: (repairing, signal) =>
      write({ ...kept, repairing: seal.encrypt(isSeenTo ? repairing : interrupted) }, signal),
    seeTo() {
      isSeenTo = true;
    },
  };
}
