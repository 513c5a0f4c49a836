import { hash } from 'node:crypto';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

import type { DraftEvent } from './spool/draft.ts';
import type { Intent } from './spool/intents.ts';
import type { Spool } from './spool/spool.ts';

/** The events of one request on their way into the spool. */
export interface RequestEvents {
  /** Notes down what the request may touch; undefined when there is nothing to wait for. */
  begin(drafts: readonly DraftEvent[]): Promise<void> | undefined;
  /** @param drafts what it actually touched; undefined: same as at the beginning */
  finish(drafts: readonly DraftEvent[] | undefined, outcome: WriteEvent['outcome']): void;
}

export interface Reads {
  one(): RequestEvents;
  /** Publishes what has been held back long enough; to be called every second or so. */
  tick(): void;
  /** Publishes all that is held back. */
  flush(): void;
}

export interface ReadsOptions {
  begin: Spool['begin'];
  clock: Clock;
  windowMs: number;
  /** Identities remembered at once; beyond this a read is published at once. */
  capacity?: number;
  /** Memory for reads that are held back; beyond this they are published at once. */
  heldBytes?: number;
}

/** Memory per character of an identity's name while its reads are held back: two bytes each here and in its intent. */
const BYTES_PER_CHARACTER = 4;
/** Memory for the rest of it. */
const IDENTITY_BYTES = 500;

/** One identity that reads may create. */
interface ReadIdentity {
  /** Empty without an intent: names that clients choose are long. */
  drafts: readonly DraftEvent[];
  readonly bytes: number;
  /** On disk for all reads under way and for what is held back: a crash publishes it. */
  intent: Promise<Intent> | undefined;
  /** When the reads under way began, epoch milliseconds each, oldest first. */
  readonly underWay: Set<{ readonly beganTime: number }>;
  /** The event to be published for reads that are over. */
  held: { outcome: WriteEvent['outcome']; observedTime: number } | undefined;
  /** It has its share of the memory for reads that are held back. */
  waits: boolean;
  /** Not to be published before. */
  nextTime: number;
}

/**
 * Reads that may have created an identity, at most one event per identity and window: the first at once, all others in
 * one event after the window. None is dropped, because the identity may have been deleted between two of them.
 */
export function createReads(options: ReadsOptions): Reads {
  const { begin, clock, windowMs, capacity = 20_000, heldBytes = 8 * 1024 * 1024 } = options;
  const identities = new Map<string, ReadIdentity>();
  let waitingBytes = 0;

  /** Whether there is memory to hold this one back. */
  function mayWait(identity: ReadIdentity): boolean {
    if (identity.waits) return true;
    if (waitingBytes + identity.bytes > heldBytes) return false;
    identity.waits = true;
    waitingBytes += identity.bytes;
    return true;
  }

  function publish(identity: ReadIdentity, now: number): void {
    const { intent, held } = identity;
    if (intent === undefined || held === undefined) return;
    identity.held = undefined;
    if (identity.waits) waitingBytes -= identity.bytes;
    identity.waits = false;
    identity.nextTime = now + windowMs;
    // Those under way need their own intent, and need it before this one ends.
    const [oldest] = identity.underWay;
    identity.intent = oldest && begin(identity.drafts, oldest.beganTime);
    if (identity.intent === undefined) identity.drafts = [];
    void intent.then((begun) => begun.finish(held));
  }

  function finishOne(
    identity: ReadIdentity,
    read: { beganTime: number },
    changed: boolean,
    outcome: WriteEvent['outcome'],
  ): void {
    const now = clock.now();
    identity.underWay.delete(read);
    if (changed) {
      const unknown = outcome === 'unknown' || identity.held?.outcome === 'unknown';
      identity.held = { outcome: unknown ? 'unknown' : outcome, observedTime: now };
    }
    if (identity.held !== undefined) {
      if (now >= identity.nextTime || !mayWait(identity)) publish(identity, now);
    } else if (identity.underWay.size === 0) {
      void identity.intent?.then((begun) => begun.finish({ outcome: 'known', drafts: [], observedTime: now }));
      identity.intent = undefined;
      identity.drafts = [];
    }
  }

  function identityOf(drafts: readonly DraftEvent[]): ReadIdentity {
    const name = JSON.stringify(drafts[0]?.target);
    const key = hash('sha256', name, 'base64');
    const known = identities.get(key);
    if (known !== undefined) return known;
    const identity: ReadIdentity = {
      drafts: [],
      bytes: BYTES_PER_CHARACTER * name.length + IDENTITY_BYTES,
      intent: undefined,
      underWay: new Set(),
      held: undefined,
      waits: false,
      nextTime: 0,
    };
    if (identities.size < capacity) identities.set(key, identity);
    return identity;
  }

  return {
    one() {
      const read = { beganTime: 0 };
      let identity: ReadIdentity | undefined;
      return {
        begin(drafts) {
          if (drafts.length === 0) return undefined;
          identity = identityOf(drafts);
          read.beganTime = clock.now();
          identity.underWay.add(read);
          if (identity.intent === undefined) {
            // A copy: a substring in V8 keeps the whole string alive, here the head of the request.
            identity.drafts = structuredClone(drafts);
            identity.intent = begin(drafts);
          }
          return identity.intent.then(() => undefined);
        },
        finish(drafts, outcome) {
          if (identity !== undefined) finishOne(identity, read, drafts === undefined || drafts.length > 0, outcome);
        },
      };
    },
    tick() {
      const now = clock.now();
      for (const [key, identity] of identities) {
        if (now < identity.nextTime) continue;
        publish(identity, now);
        if (identity.intent === undefined && now >= identity.nextTime) identities.delete(key);
      }
    },
    flush() {
      for (const identity of identities.values()) publish(identity, clock.now());
    },
  };
}
