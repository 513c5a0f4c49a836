import { randomBytes } from 'node:crypto';

import type { Clock } from '@edge-migration/runtime/clock.ts';

import type { SyncPolicy } from './disk.ts';
import { listSegmentFiles, readBootId } from './files.ts';
import type { GapRecorder } from './gaps.ts';
import { createIntents, type Intents } from './intents.ts';
import { Journal } from './journal.ts';
import { createSerialQueue } from './lane.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { type Recovered, recoverSegments } from './recovery.ts';
import { Removal } from './removal.ts';
import { newSegment, type SpoolSegment } from './segment.ts';
import { createShares } from './shares.ts';
import { createSpoolState, type SpoolState } from './spool-state.ts';
import type { DurableState } from './state.ts';
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
  leftovers: 'unknown' | 'reading' | 'read';
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

/** Under policy `interval`, anything written this long before the node went down is on its disk. */
const SYNC_LAG_MS = 5000;

type Phase = 'closed' | 'opening' | 'open' | 'recovering' | 'recovered';

const LEFTOVERS: Readonly<Record<Phase, SpoolFacts['leftovers']>> = {
  ...{ closed: 'unknown', opening: 'unknown' },
  ...{ open: 'reading', recovering: 'reading' },
  recovered: 'read',
};

export function createSpool(given: SpoolOptions): Spool {
  const options = { ...DEFAULTS, ...given };
  const { clock, directory, onError } = options;
  const openedTime = clock.now();
  let bootId = 'unknown';
  let phase: Phase = 'closed';
  /** What earlier processes left in the directory. */
  let left: { previous: DurableState | undefined; segments: SpoolSegment[] } = { previous: undefined, segments: [] };

  const chores = createSerialQueue();
  const notes = createSpoolState(clock, chores, onError);
  const { gaps } = notes;
  const trust = createTrust(clock);
  const journal = new Journal({
    ...options,
    chores,
    bootId: () => bootId,
    onFailure(error, from) {
      gaps.open('spoolFailing', from);
      onError(error);
    },
    onRecovery: () => gaps.close('spoolFailing', clock.now()),
  });
  const bytes = () => journal.segments.reduce((sum, segment) => sum + segment.appended, 0);
  const shares = createShares(() => options.limitBytes - bytes());
  const outbox = createOutbox(
    {
      directory,
      clock,
      trust,
      chores,
      capacity: options.memoryCharacters,
      onReady: options.onReady,
      onDamage(segment, error) {
        gaps.mark('spoolLost', Math.min(segment.firstTime, clock.now()), segment.sealedTime ?? clock.now());
        onError(error);
      },
    },
    journal,
  );
  const intents = createIntents(
    {
      clock,
      instance: options.instance,
      eventIdPrefix: `${randomBytes(9).toString('base64url')}.`,
      shares,
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

  async function open(): Promise<void> {
    if (phase !== 'closed') return;
    phase = 'opening';
    try {
      const found = await chores.run(() => listSegmentFiles(directory));
      bootId = given.bootId ?? (await chores.run(readBootId));
      const previous = await notes.open(directory, bootId);
      const segments = found.map((name) => ({ ...newSegment(name, clock.now()), sealedTime: clock.now() }));
      left = { previous, segments };
      journal.start(left.segments);
      gaps.close('spoolFailing', clock.now());
      phase = 'open';
    } catch (error) {
      phase = 'closed';
      gaps.open('spoolFailing', openedTime);
      onError(error);
    }
  }

  async function recover(): Promise<void> {
    if (phase !== 'open') return;
    phase = 'recovering';
    const { previous, segments } = left;
    const recovered = await chores.run(() => recoverSegments(directory, segments, bootId, clock.now()));
    for (const { from, until } of recovered.damaged) gaps.mark('spoolLost', from, until);
    if (options.sync !== 'commit' && (recovered.rebooted || isOtherBoot(previous, bootId))) {
      gaps.mark('spoolLost', unsyncedSince(options.sync, recovered, previous), openedTime);
    }
    intents.markDoubts(recovered.unfinished);
    await notes.save();
    intents.adopt(recovered.unfinished);
    phase = 'recovered';
    if (segments.length > 0) outbox.rewind();
  }

  async function saveNotes(): Promise<void> {
    const endFinished = intents.takeFinished();
    try {
      await notes.save();
    } finally {
      // Even when the disk accepts no notes: the list that waits for it must not grow.
      endFinished();
    }
  }

  const removal = new Removal({
    ...{ journal, outbox, notes, shares, trust, safetyMs: options.safetyMs },
    isRecovered: () => phase === 'recovered',
  });

  return {
    begin: intents.begin,
    outbox,
    gaps,
    facts() {
      const oldest = Math.min(intents.oldestTime() ?? Infinity, outbox.oldestTime() ?? Infinity);
      return {
        id: notes.spoolId,
        open: intents.count(),
        depth: outbox.depth(),
        leftovers: LEFTOVERS[phase],
        bytes: bytes(),
        oldestUnsentTime: oldest === Infinity ? undefined : oldest,
        allSentUntil: phase === 'recovered' ? Math.min(oldest, clock.now()) : undefined,
      };
    },
    observeStream: notes.observeStream,
    observeLoss: notes.observeLoss,
    observeAnswer: trust.confirm,
    observeDoubt: trust.doubt,
    open,
    recover,
    async tick() {
      try {
        await open();
        await recover();
        await journal.tick();
        await removal.run();
        if (!shares.isAnyOver()) gaps.close('spoolFull', clock.now());
        await saveNotes();
      } catch (error) {
        onError(error);
      }
    },
    async close() {
      await saveNotes().finally(() => journal.close());
      await notes.close();
    },
  };
}

function isOtherBoot(previous: DurableState | undefined, bootId: string): boolean {
  return previous !== undefined && previous.bootId !== bootId;
}

/** From when on records may be missing because the node went down before they were forced to its disk. */
function unsyncedSince(sync: SyncPolicy, recovered: Recovered, previous: DurableState | undefined): number {
  const opened = previous?.openedTime ?? 0;
  if (sync === 'none' || recovered.lastTime === undefined) return opened;
  return recovered.lastTime - SYNC_LAG_MS;
}
