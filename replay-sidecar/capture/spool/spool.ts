import { randomBytes } from 'node:crypto';

import type { Clock } from '@edge-migration/runtime/clock.ts';

import type { SyncPolicy } from './disk.ts';
import type { GapRecorder } from './gaps.ts';
import { Intents } from './intents.ts';
import { Journal } from './journal.ts';
import { createSerialQueue, type SerialQueue } from './lane.ts';
import { Outbox } from './outbox.ts';
import { Removal } from './removal.ts';
import { createShares } from './shares.ts';
import { createSpoolState, type SpoolState } from './spool-state.ts';
import { type Leftovers, Startup, type StartupParts } from './startup.ts';
import { createTrust, type Trust } from './trust.ts';

export interface SpoolOptions {
  directory: string;
  clock: Clock;
  /** `<pod name>/<pod uid>`; goes into every event. */
  instance: string;
  /** Intents are refused (and a gap is open) while the segments are larger than this. */
  limitBytes: number;
  /** How long events stay on disk after the stream acknowledged them, counted while the stream is trusted. */
  safetyMs: number;
  sync: SyncPolicy;
  /** The node's boot; read from the system when omitted. */
  bootId?: string;
  segmentBytes?: number;
  segmentMs?: number;
  writeTimeoutMs?: number;
  /** Characters of events kept in memory for the publisher. */
  memoryCharacters?: number;
  /** There may be something for {@link Outbox.next}. */
  onReady(): void;
  /** The disk, or its content, is not as it should be. The spool goes on; a gap is open where there must be one. */
  onError(error: unknown): void;
}

interface SpoolFacts {
  /** Identifies the directory's content: a new one means that it was lost. Undefined until the directory is usable. */
  id: string | undefined;
  /** Requests under way. */
  open: number;
  /** Events that the stream has not acknowledged, as far as is known: see {@link leftovers}. */
  depth: number;
  /**
   * Whether the events that earlier processes left are among the others: `reading` until they are, `unknown` while the
   * directory is not usable.
   */
  leftovers: Leftovers;
  bytes: number;
  /** Epoch milliseconds; undefined when there is none. */
  oldestUnsentTime: number | undefined;
  /** Epoch milliseconds; undefined while the leftovers of earlier processes are unknown. */
  allSentUntil: number | undefined;
}

/** Write events on their way from the requests to the stream; on disk until the stream is trusted to have them. */
export interface Spool {
  /**
   * Notes down what a request may touch; resolves when that is on disk, or when the request must no longer wait for it
   * (a gap is open then). Never rejects.
   */
  begin: Intents['begin'];
  readonly outbox: Pick<Outbox, 'next' | 'acknowledge' | 'rewind'>;
  readonly gaps: GapRecorder;
  facts(): SpoolFacts;
  /** Names the stream that the events go into; a gap is marked when it is not the one that settled events went into. */
  observeStream: SpoolState['observeStream'];
  /** The stream reuses sequence numbers that it had given out before: it lost everything from `sequence` on. */
  observeLoss: SpoolState['observeLoss'];
  /** The stream answered as expected: events acknowledged long ago may go once it has been trusted for long enough. */
  observeAnswer: Trust['confirm'];
  /** The stream may have lost what it acknowledged. Nothing is removed until it answers again. */
  observeDoubt: Trust['doubt'];
  /** Makes the directory usable. Never rejects: while it is not, a gap is open and {@link tick} tries again. */
  open(): Promise<void>;
  /** Publishes what earlier processes left in the directory. Never rejects. */
  recover(): Promise<void>;
  /** Housekeeping, to be called every second or so: removes settled segments, retries a failed disk. */
  tick(): Promise<void>;
  /** Writes everything in memory to the disk and releases it. */
  close(): Promise<void>;
}

const DEFAULTS = {
  segmentBytes: 4 * 1024 * 1024,
  segmentMs: 30_000,
  // Below the time that the proxy gives an intent.
  writeTimeoutMs: 200,
  memoryCharacters: 4 * 1024 * 1024,
};

export function createSpool(given: SpoolOptions): Spool {
  const options = { ...DEFAULTS, ...given };
  const { clock, onError } = options;
  const chores = createSerialQueue();
  const startup = new Startup({ ...options, chores });
  const notes = createSpoolState(clock, chores, onError);
  const { gaps } = notes;
  const trust = createTrust(clock);
  const journal = createJournal(options, chores, startup, gaps);
  const bytes = () => journal.segments.reduce((sum, segment) => sum + segment.appended, 0);
  const shares = createShares(() => options.limitBytes - bytes());
  const outbox = new Outbox(
    {
      ...{ clock, trust, chores, directory: options.directory, capacity: options.memoryCharacters },
      onReady: options.onReady,
      onDamage(segment, error) {
        gaps.mark('spoolLost', Math.min(segment.firstTime, clock.now()), segment.sealedTime ?? clock.now());
        onError(error);
      },
    },
    journal,
  );
  const removal = new Removal({
    ...{ journal, outbox, notes, shares, trust, safetyMs: options.safetyMs },
    isRecovered: () => startup.leftovers === 'read',
  });
  const intents = new Intents(
    {
      ...{ clock, shares, instance: options.instance },
      eventIdPrefix: `${randomBytes(9).toString('base64url')}.`,
      onEnded: () => void removal.run().catch(onError),
      areGapsSaved: notes.isSaved,
      onGap(reason, from, scope, lasting) {
        if (lasting) gaps.open(reason, from, scope);
        else gaps.mark(reason, from, clock.now(), scope);
      },
    },
    journal,
    outbox,
  );
  const parts = { notes, journal, intents, outbox };

  return {
    begin: (drafts, beganTime, doubt) => intents.begin(drafts, beganTime, doubt),
    ...{ outbox, gaps },
    facts: () => observe(parts, startup.leftovers, clock, bytes()),
    observeStream: notes.observeStream,
    observeLoss: notes.observeLoss,
    observeAnswer: trust.confirm,
    observeDoubt: trust.doubt,
    open: () => startup.open(parts),
    recover: () => startup.recover(parts),
    async tick() {
      try {
        await startup.open(parts);
        await startup.recover(parts);
        await journal.tick();
        await removal.run();
        if (!shares.isAnyOver()) gaps.close('spoolFull', clock.now());
        await saveNotes(parts);
      } catch (error) {
        onError(error);
      }
    },
    async close() {
      await saveNotes(parts).finally(() => journal.close());
      await notes.close();
    },
  };
}

function createJournal(
  options: typeof DEFAULTS & SpoolOptions,
  chores: SerialQueue,
  startup: Startup,
  gaps: GapRecorder,
): Journal {
  return new Journal({
    ...options,
    chores,
    bootId: () => startup.bootId,
    onFailure(error, from) {
      gaps.open('spoolFailing', from);
      options.onError(error);
    },
    onRecovery: () => gaps.close('spoolFailing', options.clock.now()),
  });
}

function observe(
  { intents, outbox, notes }: StartupParts,
  leftovers: Leftovers,
  clock: Clock,
  bytes: number,
): SpoolFacts {
  const oldest = Math.min(intents.oldestTime() ?? Infinity, outbox.oldestTime() ?? Infinity);
  return {
    id: notes.spoolId,
    open: intents.count(),
    depth: outbox.depth(),
    leftovers,
    bytes,
    oldestUnsentTime: oldest === Infinity ? undefined : oldest,
    allSentUntil: leftovers === 'read' ? Math.min(oldest, clock.now()) : undefined,
  };
}

async function saveNotes({ intents, notes }: StartupParts): Promise<void> {
  const endFinished = intents.takeFinished();
  try {
    await notes.save();
  } finally {
    // Even when the disk accepts no notes: the list that waits for it must not grow.
    endFinished();
  }
}
