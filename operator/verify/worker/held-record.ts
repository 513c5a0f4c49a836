import { z } from 'zod';
import { RangeTakenOverError } from '../../job/failure.ts';
import type { WorkerRecord } from '../../job/record.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { type Candidate, candidateSchema, placeOf, toPlace } from './candidate.ts';

/** A range's record, held by one pod at a time: the last one that has taken it. */
export interface HeldRecord extends WorkerRecord {
  /** Repairs that the previous pod may have been making when it ended, or had yet to compare again. */
  readonly interrupted: readonly Candidate[];
  /**
   * Makes sure that this pod still holds the record, and records the next repairs next to the last saved texts. The
   * next save removes them, except for those that are watched. Interrupted repairs stay recorded until they have been
   * handled.
   *
   * @throws RangeTakenOverError, like `save`, if another pod has taken the record
   */
  claim(repairing: readonly Candidate[], signal: AbortSignal): Promise<void>;
  /** These repairs, and no others, stay recorded from the next claim or save on: they are to be compared again. */
  watch(repaired: readonly Candidate[]): void;
  /** All interrupted repairs have been compared again. */
  seeTo(): void;
}

export interface HolderOptions {
  /** Name of this pod. */
  readonly instance: string;
  readonly seal: CheckpointCipher;
}

type Texts = Readonly<Record<string, string>>;

/** Takes the record from the pod that had it. */
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
  let watched: readonly Candidate[] = [];

  function describeRepairs(repairing: readonly Candidate[]): Texts {
    const own = new Set(repairing.map(placeOf));
    const all = isSeenTo ? [...watched.filter((each) => !own.has(placeOf(each))), ...repairing] : interrupted;
    return all.length === 0 ? {} : { repairing: seal.encrypt(all.map(toPlace)) };
  }

  return {
    interrupted,
    load: async () => kept,
    known: record.known,
    async save(texts, signal) {
      await write({ ...texts, ...describeRepairs([]) }, signal);
      kept = texts;
    },
    claim: (repairing, signal) => write({ ...kept, ...describeRepairs(repairing) }, signal),
    watch(repaired) {
      watched = repaired;
    },
    seeTo() {
      isSeenTo = true;
    },
  };
}
