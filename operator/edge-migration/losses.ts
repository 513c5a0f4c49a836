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
import { createRemovalCount, type RemovalLook, removalRecord } from './removals.ts';

/** What of the streams was known at one look. */
export interface StreamLook {
  readonly now: number;
  /** By the stream's name; those that do not exist are left out. */
  readonly streams: ReadonlyMap<string, StreamState>;
  /** Whether the events that a stream holds wait there until something is done about them, instead of being handled. */
  readonly isAside: (stream: string) => boolean;
  /** Everything that was observed before this has reached its end, or waits aside; undefined when that is not known. */
  readonly settledUntil: number | undefined;
  readonly appliers: readonly ApplierEvidence[];
  /** What was removed from where events wait aside; undefined while nothing can. */
  readonly removals: Omit<RemovalLook, 'now'> | undefined;
}

/** What an applier says of the stream of events. */
export interface ApplierEvidence {
  readonly stream: string;
  readonly created: string;
  /** Messages that it got. */
  readonly places: readonly StreamPlace[];
  /** What it found out by itself. */
  readonly losses: readonly Loss[];
}

const time = z.number();
const loss = z.object({ from: time, until: time });
const watermarks = z.object({
  created: z.string(),
  places: z.array(z.object({ sequence: time, time, stored: time.exactOptional() })).readonly(),
  // Another process has another monotonic clock.
  looked: z.object({ time, wall: time }).exactOptional(),
});

/** What operators rely on, and have found, as it is written down for those that come later. */
export const streamRecord = z.object({
  streams: z.record(z.string(), watermarks),
  settledUntil: time.exactOptional(),
  /** When the oldest event came that waited aside. */
  asideSince: time.exactOptional(),
  losses: z.array(loss),
  /** Missing in records of earlier releases. */
  removals: removalRecord.exactOptional(),
});
export type StreamRecord = z.infer<typeof streamRecord>;

/** What streams have lost, and what that is told by. */
export interface Losses {
  /** Takes over what was written down before this process began. */
  restore(record: StreamRecord): void;
  /** Takes over what another process has found meanwhile. */
  join(losses: readonly Loss[]): void;
  notice(look: StreamLook): void;
  /** Leaves out what ended before this time, also when it is told once more. */
  forget(before: number): void;
  /** Another list when something was found since. */
  list(): readonly Loss[];
  record(): StreamRecord;
}

/** An applier reports every two seconds. */
const PROOF_MS = 60_000;

/**
 * Follows how far the streams are. What they lose is never told by NATS: it gives the sequences once more, or makes the
 * stream again, and goes on (`stream-model.test.ts` shows what each rule is for).
 */
export function createLosses(): Losses {
  const streams = new Map<string, Watermarks>();
  /** A while ago, and a little later: what proves a loss may come after what followed it was settled. */
  let settledUntil: number | undefined;
  let settledNext: { until: number; noted: number } | undefined;
  /** Since when events wait aside: what is found missing may have been removed a while ago. */
  let aside = { earlier: Number.POSITIVE_INFINITY, current: Number.POSITIVE_INFINITY, noted: Number.NEGATIVE_INFINITY };
  let losses: readonly Loss[] = [];
  const removals = createRemovalCount();
  /** What proved a loss, or was from before it, is told for weeks: of the sequences that are given once more it proves nothing. */
  const spent = new Map<string, ReadonlySet<string>>();
  let forgotten = Number.NEGATIVE_INFINITY;

  function add(found: readonly Loss[]): void {
    const joined = found.filter(({ until }) => until >= forgotten).reduce(joinLoss, losses);
    if (JSON.stringify(joined) !== JSON.stringify(losses)) losses = joined;
  }

  function noteSettled({ now, settledUntil: until }: StreamLook): void {
    if (until === undefined || (settledNext !== undefined && now - settledNext.noted < PROOF_MS)) return;
    settledUntil = settledNext?.until ?? settledUntil;
    settledNext = { until, noted: now };
  }

  function noteAside({ now, streams, isAside }: StreamLook): void {
    const times = [...streams].flatMap(([stream, { oldest }]) => (isAside(stream) && oldest ? oldest.time : []));
    const since = Math.min(Number.POSITIVE_INFINITY, ...times);
    if (now - aside.noted < PROOF_MS) aside.current = Math.min(aside.current, since);
    else aside = { earlier: aside.current, current: since, noted: now };
  }

  const asideSince = () => Math.min(aside.earlier, aside.current);

  /** Of an event only its time in the stream is known; its request may have been before what was settled last. */
  function startOf(isAside: boolean): number {
    return Math.min(settledUntil ?? 0, isAside ? asideSince() : Number.POSITIVE_INFINITY);
  }

  function isShort(stream: string, known: Watermarks, look: StreamLook): boolean {
    const state = look.streams.get(stream);
    const isNew = (place: StreamPlace) => !spent.get(stream)?.has(nameOf(place));
    const isSeen = placesOf(stream, known, look).some((place) => isNew(place) && isRetaken(known, place));
    return state === undefined || hasLost(known, state) || isSeen;
  }

  return {
    restore(record) {
      for (const [stream, known] of Object.entries(record.streams)) streams.set(stream, known);
      ({ settledUntil } = record);
      aside.current = record.asideSince ?? Number.POSITIVE_INFINITY;
      if (record.removals !== undefined) removals.restore(record.removals);
      add(record.losses);
    },
    join: add,
    notice(look) {
      add(
        look.appliers.flatMap((one) =>
          one.losses.map((each) => ({ ...each, from: Math.min(each.from, startOf(false)) })),
        ),
      );
      for (const [stream, known] of streams) {
        if (!isShort(stream, known, look)) continue;
        add([{ from: startOf(look.isAside(stream)), until: look.now }]);
        spent.set(stream, new Set(placesOf(stream, known, look).map(nameOf)));
        streams.delete(stream);
        removals.reset();
      }
      if (look.removals !== undefined && removals.notice({ ...look.removals, now: look.now }))
        add([{ from: startOf(true), until: look.now }]);
      for (const [stream, state] of look.streams) streams.set(stream, noteState(streams.get(stream), state));
      noteSettled(look);
      noteAside(look);
    },
    forget(before) {
      forgotten = before;
      if (losses.some(({ until }) => until < before)) losses = losses.filter(({ until }) => until >= before);
    },
    list: () => losses,
    record: () => ({
      streams: Object.fromEntries(streams),
      ...(settledUntil !== undefined && { settledUntil }),
      ...(asideSince() < Number.POSITIVE_INFINITY && { asideSince: asideSince() }),
      losses: [...losses],
      ...(removals.record() !== undefined && { removals: removals.record()! }),
    }),
  };
}

function placesOf(stream: string, { created }: Watermarks, { appliers }: StreamLook): StreamPlace[] {
  const isOf = (one: ApplierEvidence) => one.stream === stream && one.created === created;
  return appliers.filter(isOf).flatMap(({ places }) => places);
}

const nameOf = ({ sequence, time: stored }: StreamPlace) => `${sequence} at ${stored}`;
