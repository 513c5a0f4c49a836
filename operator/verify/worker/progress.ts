import type { Stores } from '@edge-migration/identity/converge.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { z } from 'zod';
import { keepProgress, loadRange, type RangeProgressOptions } from '../../job/range-progress.ts';
import { parseVerifyCheckpoint, type VerifyCheckpoint } from '../checkpoint.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { countComparedIdentities, countDocuments, NOTHING_VERIFIED } from '../totals.ts';
import { type Candidate, candidateSchema, textLength } from './candidate.ts';
import { createTally, type Tally } from './tally.ts';

const placeSchema = z.object({
  segment: z.int().min(0),
  /** One of Core's identifiers or Edge's keys; null begins at the segment's start. */
  from: z.union([z.string(), z.custom<Item>((value) => typeof value === 'object' && value !== null), z.null()]),
});

/** Where to resume a range. */
type RangePosition = z.infer<typeof placeSchema>;

const sealedFields = { place: placeSchema, candidates: z.array(candidateSchema) };
const sealedSchema = z.union([
  z.object({ ...sealedFields, comparedTime: z.number() }),
  // Of earlier releases.
  z.object({ ...sealedFields, lookedAt: z.number() }).transform(({ lookedAt, ...others }) => ({
    ...others,
    comparedTime: lookedAt,
  })),
]);

export interface VerifyProgressOptions extends RangeProgressOptions<VerifyCheckpoint> {
  readonly stores: Pick<Stores, 'edge'>;
  readonly regions: readonly Pick<Stores, 'edge'>[];
  readonly seal: CheckpointCipher;
  readonly clearIdentifiers: boolean;
  readonly logger: Logger;
}

/** The progress of a range; changes are saved at intervals, so that a killed worker repeats about a second. */
export interface VerifyProgress {
  readonly place: RangePosition;
  readonly tally: Tally;
  /** Differences to compare again; may be added to. */
  readonly candidates: Candidate[];
  /** The time of the last comparison of any of them. */
  readonly comparedTime: number;
  noteComparison(time: number): void;
  /** Whether there are so many candidates that they must be settled before more are found. */
  isFull(): boolean;
  /** @param maySkip whether saving may be postponed */
  moveTo(place: RangePosition, signal: AbortSignal, maySkip?: boolean): Promise<void>;
  /**
   * Only these candidates remain.
   *
   * @param maySkip whether saving may be postponed
   */
  keep(candidates: readonly Candidate[], signal: AbortSignal, maySkip: boolean): Promise<void>;
  finish(signal: AbortSignal): Promise<VerifyCheckpoint>;
}

const SAVE_MS = 1_000;
/** A ConfigMap holds a mebibyte, its metadata and the repairs in progress included. */
export const MOST_RECORD_BYTES = 900_000;
/** Candidates are settled above this number. If one page adds more than the record can hold, saving waits for that. */
const MOST_CANDIDATES = 1_000;
/** Maximum length of their identifiers in UTF-16 units; sealed, they take about twice as much. */
const MOST_CANDIDATE_TEXT = 250_000;

/** Loads a range's checkpoint and keeps it up to date from then on. */
export async function openVerifyProgress(options: VerifyProgressOptions, signal: AbortSignal): Promise<VerifyProgress> {
  const { range, stores, seal, logger } = options;
  const saved = await loadRange(options, parseVerifyCheckpoint, signal);
  const opened = saved && sealedSchema.safeParse(seal.decrypt(saved.checkpoint.sealed)).data;
  // Without its position, none of its counts are valid.
  const resumed = opened && saved;
  let place: RangePosition = opened?.place ?? { segment: 0, from: null };
  let candidates = opened?.candidates ?? [];
  let comparedTime = opened?.comparedTime ?? 0;
  const tally = createTally({
    totals: resumed?.checkpoint.totals ?? NOTHING_VERIFIED,
    samples: resumed?.texts['samples.jsonl'] ?? '',
    sampleLines: resumed?.checkpoint.sampleLines ?? 0,
    skipped: resumed?.texts['skipped.jsonl'] ?? '',
    skippedLines: resumed?.checkpoint.skippedLines ?? 0,
    clearIdentifiers: options.clearIdentifiers,
  });
  const costs = () => sumCosts([stores, ...options.regions]);
  let spent = costs();
  if (opened !== undefined) logger.info({ rangeId: range.rangeId, segment: place.segment }, 'resumed');

  function addCosts(): void {
    const before = spent;
    spent = costs();
    tally.addCosts({
      readUnits: spent.readUnits - before.readUnits,
      writeUnits: spent.writeUnits - before.writeUnits,
    });
  }

  // No claim is needed: a pod that only reads leaves no writes to wait for, and one that repairs holds its record.
  const progress = keepProgress(
    options,
    {
      seen: () => countComparedIdentities(tally.totals()) + countDocuments(tally.totals()),
      checkpoint() {
        addCosts();
        return {
          totals: tally.totals(),
          candidates: candidates.length,
          sealed: seal.encrypt({ place, candidates, comparedTime }),
          sampleLines: tally.samples.lines,
          skippedLines: tally.skipped.lines,
        };
      },
      texts: () => ({ 'samples.jsonl': tally.samples.text(), 'skipped.jsonl': tally.skipped.text() }),
      everyMs: SAVE_MS,
      mostBytes: MOST_RECORD_BYTES,
    },
    saved?.checkpoint,
    opened === undefined,
  );

  return {
    get place() {
      return place;
    },
    get candidates() {
      return candidates;
    },
    get comparedTime() {
      return comparedTime;
    },
    tally,
    noteComparison(time) {
      comparedTime = Math.max(comparedTime, time);
    },
    isFull: () => candidates.length >= MOST_CANDIDATES || textLength(candidates) >= MOST_CANDIDATE_TEXT,

    async moveTo(next, signal, maySkip = false) {
      place = next;
      await (maySkip ? progress.saveSometimes(signal) : progress.save(signal));
    },

    async keep(left, signal, maySkip) {
      candidates = [...left];
      await (maySkip ? progress.saveSometimes(signal) : progress.save(signal));
    },

    finish: progress.finish,
  };
}

/** The sum over all regions. */
function sumCosts(regions: readonly Pick<Stores, 'edge'>[]) {
  const sum = { readUnits: 0, writeUnits: 0 };
  for (const { edge } of regions) {
    sum.readUnits += edge.readBudget?.spent().units ?? 0;
    sum.writeUnits += edge.budget.spent().units;
  }
  return sum;
}
