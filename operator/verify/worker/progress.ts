import type { Stores } from '@edge-migration/identity/converge.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { z } from 'zod';
import { createRateMeter } from '../../copy/worker/rate-meter.ts';
import type { WorkerRecord } from '../../job/record.ts';
import { parseVerifyCheckpoint, type VerifyCheckpoint } from '../checkpoint.ts';
import type { CheckpointCipher } from '../checkpoint-cipher.ts';
import { countDocuments, countIdentities, NOTHING_VERIFIED } from '../totals.ts';
import { type Candidate, candidateSchema } from './candidates.ts';
import { createTally, type Ledger } from './tally.ts';

const placeSchema = z.object({
  segment: z.int().min(0),
  /** An identifier of Core's, or a key of Edge's; null begins at the segment's start. */
  from: z.union([z.string(), z.custom<Item>((value) => typeof value === 'object' && value !== null), z.null()]),
});

/** Where a range is to be taken up. */
type Place = z.infer<typeof placeSchema>;

const sealedSchema = z.object({ place: placeSchema, candidates: z.array(candidateSchema), lookedAt: z.number() });

export interface ProgressOptions {
  readonly range: { readonly rangeId: number };
  readonly stores: Pick<Stores, 'edge'>;
  readonly regions: readonly Pick<Stores, 'edge'>[];
  readonly record: WorkerRecord;
  readonly seal: CheckpointCipher;
  readonly clearIdentifiers: boolean;
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onProgress?: ((checkpoint: VerifyCheckpoint) => void) | undefined;
  readonly patiently: <T>(work: () => Promise<T>) => Promise<T>;
}

/** How far a range has come; what is told is saved now and then, so that a killed worker repeats about a second. */
export interface Progress {
  readonly place: Place;
  readonly ledger: Ledger;
  /** Differences that are to be looked at again; may be added to. */
  readonly candidates: Candidate[];
  /** When any of them was last looked at. */
  readonly lookedAt: number;
  noticeLook(time: number): void;
  /** So many candidates that they must be settled before more are found. */
  isFull(): boolean;
  /** @param maySkip whether saving may wait for the next time */
  moveTo(place: Place, signal: AbortSignal, maySkip?: boolean): Promise<void>;
  /** Only these candidates are left. */
  keep(candidates: readonly Candidate[], signal: AbortSignal): Promise<void>;
  finish(signal: AbortSignal): Promise<VerifyCheckpoint>;
}

const SAVE_MS = 1_000;
/** A ConfigMap holds a mebibyte, its metadata included. */
const MOST_RECORD_BYTES = 900_000;
/** After this the candidates are settled. One page may add more than fits into the record: then saving waits for that. */
const MOST_CANDIDATES = 1_000;
/** Their identifiers in UTF-16 units; sealed they take about twice as much. */
const MOST_CANDIDATE_TEXT = 250_000;

/** Loads a range's checkpoint and keeps it up to date from then on. */
export async function openProgress(options: ProgressOptions, signal: AbortSignal): Promise<Progress> {
  const { range, stores, record, seal, clock, patiently, logger } = options;
  const texts = await patiently(() => record.load(signal));
  const saved = parseVerifyCheckpoint(texts?.['checkpoint']);
  const opened = saved && sealedSchema.safeParse(seal.decrypt(saved.sealed)).data;
  let place: Place = opened?.place ?? { segment: 0, from: null };
  let candidates = opened?.candidates ?? [];
  let lookedAt = opened?.lookedAt ?? 0;
  const { overridesTable: table } = stores.edge;
  const overridesTable = opened === undefined || saved?.overridesTable === table ? table : undefined;
  const ledger = createTally({
    totals: (opened && saved?.totals) ?? NOTHING_VERIFIED,
    samples: texts?.['samples.jsonl'] ?? '',
    sampleLines: opened && saved ? saved.sampleLines : 0,
    skipped: texts?.['skipped.jsonl'] ?? '',
    skippedLines: opened && saved ? saved.skippedLines : 0,
    clearIdentifiers: options.clearIdentifiers,
  });
  const rate = createRateMeter(clock.monotonic());
  const seen = () => countIdentities(ledger.totals()) + countDocuments(ledger.totals());
  let counted = seen();
  let savedAt = Number.NEGATIVE_INFINITY;
  const costs = () => sumCosts([stores, ...options.regions]);
  let spent = costs();
  if (opened !== undefined) logger.info({ rangeId: range.rangeId, segment: place.segment }, 'resumed');

  async function save(finished: boolean, signal: AbortSignal): Promise<VerifyCheckpoint> {
    const now = seen();
    rate.add(now - counted, clock.monotonic());
    counted = now;
    const before = spent;
    spent = costs();
    ledger.addCosts({
      readUnits: spent.readUnits - before.readUnits,
      writeUnits: spent.writeUnits - before.writeUnits,
    });
    const checkpoint: VerifyCheckpoint = {
      rangeId: range.rangeId,
      finished,
      updatedTime: new Date(clock.now()).toISOString(),
      instance: options.instance,
      identitiesPerSecond: finished ? 0 : Math.round(rate.perSecond()),
      totals: ledger.totals(),
      candidates: candidates.length,
      sealed: seal.encrypt({ place, candidates, lookedAt }),
      sampleLines: ledger.samples.lines,
      skippedLines: ledger.skipped.lines,
      ...(overridesTable && { overridesTable }),
    };
    const data = {
      checkpoint: JSON.stringify(checkpoint),
      'samples.jsonl': ledger.samples.text(),
      'skipped.jsonl': ledger.skipped.text(),
    };
    // A worker that is killed now goes on from what was saved before, whose totals have nothing of this in them.
    if (finished || sizeOf(data) <= MOST_RECORD_BYTES) await patiently(() => record.save(data, signal));
    savedAt = clock.monotonic();
    options.onProgress?.(checkpoint);
    return checkpoint;
  }

  return {
    get place() {
      return place;
    },
    get candidates() {
      return candidates;
    },
    get lookedAt() {
      return lookedAt;
    },
    ledger,
    noticeLook(time) {
      lookedAt = Math.max(lookedAt, time);
    },
    isFull: () => candidates.length >= MOST_CANDIDATES || textLength(candidates) >= MOST_CANDIDATE_TEXT,

    async moveTo(next, signal, maySkip = false) {
      place = next;
      if (!maySkip || clock.monotonic() - savedAt >= SAVE_MS) await save(false, signal);
    },

    async keep(left, signal) {
      candidates = [...left];
      if (left.length === 0 || clock.monotonic() - savedAt >= SAVE_MS) await save(false, signal);
    },

    finish: (signal) => save(true, signal),
  };
}

function sizeOf(texts: Readonly<Record<string, string>>): number {
  return Object.values(texts).reduce((size, text) => size + Buffer.byteLength(text), 0);
}

function textLength(candidates: readonly Candidate[]): number {
  return candidates.reduce((length, { identifier, key }) => length + identifier.length + key.length, 0);
}

/** Of all regions together. */
function sumCosts(regions: readonly Pick<Stores, 'edge'>[]) {
  const sum = { readUnits: 0, writeUnits: 0 };
  for (const { edge } of regions) {
    sum.readUnits += edge.readBudget?.spent().units ?? 0;
    sum.writeUnits += edge.budget.spent().units;
  }
  return sum;
}
