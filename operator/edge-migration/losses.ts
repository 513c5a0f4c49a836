import {
  hasLost,
  isRetaken,
  joinLoss,
  type Loss,
  noteState,
  type StreamPlace,
  type StreamState,
  type Watermarks,
} from '@edge-migration/contract/streams/watermark.ts';
import { z } from 'zod';
import { createRemovalCount, type RemovalObservation, removalRecord } from './removals.ts';

/** What one reading of the streams has found. */
export interface StreamObservation {
  readonly now: number;
  /** By the stream's name; those that do not exist are left out. */
  readonly streams: ReadonlyMap<string, StreamState>;
  /** Whether a stream's events are parked until something is done about them, instead of being handled. */
  readonly isParking: (stream: string) => boolean;
  /** Everything observed before this has reached its end, or is parked; undefined when that is not known. */
  readonly settledUntil: number | undefined;
  readonly appliers: readonly ApplierEvidence[];
  /** What was removed from the parking stream; undefined while there is none. */
  readonly removals: Omit<RemovalObservation, 'now'> | undefined;
}

/** What an applier reports about the stream of events. */
export interface ApplierEvidence {
  readonly stream: string;
  readonly created: string;
  /** Places of messages that it received. */
  readonly places: readonly StreamPlace[];
  /** Losses that it found by itself. */
  readonly losses: readonly Loss[];
}

const time = z.number();
const loss = z.object({ from: time, until: time });
const watermarks = z.object({
  created: z.string(),
  places: z.array(z.object({ sequence: time, time, stored: time.exactOptional() })).readonly(),
  // Another process has a different monotonic clock.
  checked: z.object({ time, wall: time }).exactOptional(),
});

const presentRecord = z.object({
  streams: z.record(z.string(), watermarks),
  settledUntil: time.exactOptional(),
  /** When the oldest parked event arrived. */
  parkedSince: time.exactOptional(),
  losses: z.array(loss),
  /** Missing in records of earlier releases. */
  removals: removalRecord.exactOptional(),
});

/** Two fields had other names in earlier releases. */
const formerRecord = z.looseObject({
  streams: z.record(z.string(), z.looseObject({ looked: z.unknown().optional() })),
  asideSince: z.unknown().optional(),
});

/** What operators rely on and have found, as stored for later ones. */
export const streamRecord = z.preprocess((record) => {
  const { streams, asideSince, ...others } = formerRecord.safeParse(record).data ?? {};
  if (streams === undefined) return record;
  const entries = Object.entries(streams).map(([name, { looked, ...known }]) => {
    return [name, { ...(looked !== undefined && { checked: looked }), ...known }];
  });
  const parked = asideSince !== undefined && { parkedSince: asideSince };
  return { ...parked, ...others, streams: Object.fromEntries(entries) };
}, presentRecord);
export type StreamRecord = z.infer<typeof streamRecord>;

/** What streams have lost, and the evidence for it. */
export interface Losses {
  /** Takes over what was stored before this process began. */
  restore(record: StreamRecord): void;
  /** Takes over what another process has meanwhile found. */
  join(losses: readonly Loss[]): void;
  notice(observation: StreamObservation): void;
  /** Leaves out what ended before this time, even when it is reported again. */
  forget(before: number): void;
  /** Another list when something has been found since. */
  list(): readonly Loss[];
  record(): StreamRecord;
}

/** An applier reports every two seconds. */
const PROOF_MS = 60_000;

/**
 * Tracks how far the streams are. NATS never reports their losses: it assigns the same sequences again, or recreates
 * the stream, and goes on (`stream-model.test.ts` shows what each rule is for).
 */
export function createLosses(): Losses {
  const streams = new Map<string, Watermarks>();
  /** An earlier and a slightly later time: the proof of a loss may come after its successors were settled. */
  let settledUntil: number | undefined;
  let settledNext: { until: number; noted: number } | undefined;
  /** Since when events are parked: what is found missing may have been removed a while ago. */
  let parked = {
    earlier: Number.POSITIVE_INFINITY,
    current: Number.POSITIVE_INFINITY,
    noted: Number.NEGATIVE_INFINITY,
  };
  let losses: readonly Loss[] = [];
  const removals = createRemovalCount();
  /** Old evidence of a loss, or from before it, is repeated for weeks: it proves nothing about reassigned sequences. */
  const spent = new Map<string, ReadonlySet<string>>();
  let forgotten = Number.NEGATIVE_INFINITY;

  function add(found: readonly Loss[]): void {
    const joined = found.filter(({ until }) => until >= forgotten).reduce(joinLoss, losses);
    if (JSON.stringify(joined) !== JSON.stringify(losses)) losses = joined;
  }

  function noteSettled({ now, settledUntil: until }: StreamObservation): void {
    if (until === undefined || (settledNext !== undefined && now - settledNext.noted < PROOF_MS)) return;
    settledUntil = settledNext?.until ?? settledUntil;
    settledNext = { until, noted: now };
  }

  function noteParked({ now, streams, isParking }: StreamObservation): void {
    const times = [...streams].flatMap(([stream, { oldest }]) => (isParking(stream) && oldest ? oldest.time : []));
    const since = Math.min(Number.POSITIVE_INFINITY, ...times);
    if (now - parked.noted < PROOF_MS) parked.current = Math.min(parked.current, since);
    else parked = { earlier: parked.current, current: since, noted: now };
  }

  const parkedSince = () => Math.min(parked.earlier, parked.current);

  /** Only an event's time in the stream is known; its request may have been before what was settled last. */
  function startOf(isParking: boolean): number {
    return Math.min(settledUntil ?? 0, isParking ? parkedSince() : Number.POSITIVE_INFINITY);
  }

  function isShort(stream: string, known: Watermarks, observation: StreamObservation): boolean {
    const state = observation.streams.get(stream);
    const isNew = (place: StreamPlace) => !spent.get(stream)?.has(nameOf(place));
    const isSeen = placesOf(stream, known, observation).some((place) => isNew(place) && isRetaken(known, place));
    return state === undefined || hasLost(known, state) || isSeen;
  }

  return {
    restore(record) {
      for (const [stream, known] of Object.entries(record.streams)) streams.set(stream, known);
      ({ settledUntil } = record);
      parked.current = record.parkedSince ?? Number.POSITIVE_INFINITY;
      if (record.removals !== undefined) removals.restore(record.removals);
      add(record.losses);
    },
    join: add,
    notice(observation) {
      add(
        observation.appliers.flatMap((one) =>
          one.losses.map((each) => ({ ...each, from: Math.min(each.from, startOf(false)) })),
        ),
      );
      for (const [stream, known] of streams) {
        if (!isShort(stream, known, observation)) continue;
        add([{ from: startOf(observation.isParking(stream)), until: observation.now }]);
        spent.set(stream, new Set(placesOf(stream, known, observation).map(nameOf)));
        streams.delete(stream);
        removals.reset();
      }
      if (observation.removals !== undefined && removals.notice({ ...observation.removals, now: observation.now }))
        add([{ from: startOf(true), until: observation.now }]);
      for (const [stream, state] of observation.streams) streams.set(stream, noteState(streams.get(stream), state));
      noteSettled(observation);
      noteParked(observation);
    },
    forget(before) {
      forgotten = before;
      if (losses.some(({ until }) => until < before)) losses = losses.filter(({ until }) => until >= before);
    },
    list: () => losses,
    record: () => ({
      streams: Object.fromEntries(streams),
      ...(settledUntil !== undefined && { settledUntil }),
      ...(parkedSince() < Number.POSITIVE_INFINITY && { parkedSince: parkedSince() }),
      losses: [...losses],
      ...(removals.record() !== undefined && { removals: removals.record()! }),
    }),
  };
}

function placesOf(stream: string, { created }: Watermarks, { appliers }: StreamObservation): StreamPlace[] {
  const isOf = (one: ApplierEvidence) => one.stream === stream && one.created === created;
  return appliers.filter(isOf).flatMap(({ places }) => places);
}

const nameOf = ({ sequence, time: stored }: StreamPlace) => `${sequence} at ${stored}`;
