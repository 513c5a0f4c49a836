import type { Clock } from '@edge-migration/identity/clock.ts';
import type { EventTarget, WriteEvent } from '@edge-migration/identity/write-event.ts';
import type { WriteScope } from '@edge-migration/identity/write-scope.ts';

import type { GapReason } from '../coverage/report.ts';
import { type DraftEvent, EventTooLargeError, encodeLine } from './draft.ts';
import type { Journal } from './journal.ts';
import type { Outbox } from './outbox.ts';
import { countLines, type EventsRecord, placeId } from './record.ts';
import type { UnfinishedIntent } from './recovery.ts';
import type { Place } from './segment.ts';

/** How a request ended. */
export interface Result {
  outcome: WriteEvent['outcome'];
  /** What the request touched after all; as begun when left out, `[]` when it provably changed nothing. */
  drafts?: readonly DraftEvent[];
  /** When its end was seen, epoch milliseconds; now when left out. */
  observedTime?: number;
}

/** A request whose end has not been seen yet. */
export interface Intent {
  /** Hands its events to the publisher. Only the first call counts. Never throws. */
  finish(result: Result): void;
}

export interface Intents {
  /** @param beganTime when the request began, epoch milliseconds; now when left out */
  begin(drafts: readonly DraftEvent[], beganTime?: number): Promise<Intent>;
  /** Publishes what an earlier process began and did not finish, as of unknown outcome. */
  adopt(unfinished: readonly UnfinishedIntent[]): void;
  /** When the oldest unfinished request began, epoch milliseconds; undefined when there is none. */
  oldestTime(): number | undefined;
  count(): number;
}

export interface IntentsOptions {
  clock: Clock;
  instance: string;
  /** Unique start of this process's event ids. */
  eventIdPrefix: string;
  /** False while the spool takes no more intents. */
  hasRoom(): boolean;
  onGap(reason: GapReason, from: number, scope: readonly WriteScope[], lasting: boolean): void;
}

/** A record stays below this, so that reading one back never needs much memory. */
const RECORD_CHARACTERS = 128 * 1024;

export function createIntents(options: IntentsOptions, journal: Journal, outbox: Outbox): Intents {
  const { clock } = options;
  const open = new Map<Intent, number>();
  let nextEventId = 1;

  function encode(drafts: readonly DraftEvent[], beganTime: number): string[] {
    const lines: string[] = [];
    for (const draft of drafts) {
      try {
        lines.push(encodeLine(`${options.eventIdPrefix}${(nextEventId++).toString(36)}`, options.instance, draft));
      } catch (error) {
        if (!(error instanceof EventTooLargeError)) throw error;
        options.onGap('eventTooLarge', beganTime, scopeOf([draft]), false);
      }
    }
    return lines;
  }

  function spool(lines: readonly string[], beganTime: number): Place[] {
    const parts: Place[] = [];
    for (const text of joined(lines)) {
      const place = journal.append({ kind: 'intent', beganTime, lines: text });
      if (place === undefined) break;
      place.segment.unfinished += 1;
      place.segment.firstTime = Math.min(place.segment.firstTime, beganTime);
      parts.push(place);
    }
    return parts;
  }

  /** What has an intent on disk may always join it there: requests under way are few. Others need room. */
  function publish(record: EventsRecord): void {
    const place = record.intent !== 0 || options.hasRoom() ? journal.append(record) : undefined;
    if (place !== undefined) {
      place.segment.firstTime = Math.min(place.segment.firstTime, record.beganTime);
      place.segment.events += countLines(record.lines);
    }
    outbox.push(place, record);
  }

  function finish(parts: readonly Place[], lines: readonly string[], beganTime: number, result: Result): void {
    const texts = joined(lines);
    const observedTime = result.observedTime ?? clock.now();
    // Each record of the intent gets its counterpart, an empty one if need be, or a restart would bring it back.
    for (let i = 0; i < Math.max(parts.length, texts.length); i++) {
      const part = parts[i];
      const intent = part === undefined ? 0 : placeId(part.segment.number, part.offset);
      publish({ kind: 'events', intent, beganTime, outcome: result.outcome, observedTime, lines: texts[i] ?? '' });
    }
    for (const { segment } of parts) segment.unfinished -= 1;
  }

  return {
    async begin(drafts, beganTime = clock.now()) {
      const lines = encode(drafts, beganTime);
      const hasRoom = options.hasRoom();
      const parts = hasRoom ? spool(lines, beganTime) : [];
      if (parts.length === 0 && lines.length > 0) {
        options.onGap(hasRoom ? 'spoolFailing' : 'spoolFull', beganTime, scopeOf(drafts), true);
      }
      const intent: Intent = {
        finish(result) {
          if (!open.delete(intent)) return;
          finish(parts, result.drafts === undefined ? lines : encode(result.drafts, beganTime), beganTime, result);
        },
      };
      open.set(intent, beganTime);
      if (parts.length > 0) await journal.commit();
      return intent;
    },
    adopt(unfinished) {
      // Not the time of the request: the API may have committed at any moment since.
      const observedTime = clock.now();
      for (const { id, beganTime, lines } of unfinished) {
        publish({ kind: 'events', intent: id, beganTime, outcome: 'unknown', observedTime, lines });
      }
    },
    oldestTime() {
      let oldest: number | undefined;
      for (const beganTime of open.values()) oldest = Math.min(oldest ?? beganTime, beganTime);
      return oldest;
    },
    count: () => open.size,
  };
}

/** Lines as the texts of records. */
function joined(lines: readonly string[]): string[] {
  const texts: string[] = [];
  for (const line of lines) {
    const last = texts.at(-1);
    if (last === undefined || last.length + line.length > RECORD_CHARACTERS) texts.push(line);
    else texts[texts.length - 1] = `${last}\n${line}`;
  }
  return texts;
}

/** What the drafts are about, for a gap in their place; empty when one of them may be about anyone. */
export function scopeOf(drafts: readonly DraftEvent[]): WriteScope[] {
  const scopes = drafts.map(({ target }) => scopeOfTarget(target));
  return scopes.includes(undefined) ? [] : (scopes as WriteScope[]);
}

function scopeOfTarget(target: EventTarget): WriteScope | undefined {
  switch (target.kind) {
    case 'identity':
    case 'environment':
      return target.environment;
    case 'features':
      return target.of;
    case 'identityId':
      return { identityId: target.identityId };
    case 'feature':
      return { featureId: target.featureId };
    case 'featureState':
      return { featureStateId: target.featureStateId };
    case 'project':
      return { projectId: target.projectId };
    case 'option':
    case 'deletedProjects':
      return undefined;
  }
}
