import type { GapReason } from '@edge-migration/contract/reports/coverage.ts';
import type { EventTarget, WriteEvent } from '@edge-migration/contract/write-event.ts';
import { scopeName, type WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type Doubt, encodeDoubt, separateDoubts } from './doubt.ts';
import { type DraftEvent, EventTooLargeError, encodeLine } from './draft.ts';
import type { Journal } from './journal.ts';
import type { Outbox } from './outbox.ts';
import { countLines, type EventsRecord, placeId } from './record.ts';
import type { UnfinishedIntent } from './recovery.ts';
import type { SegmentPosition, SpoolSegment } from './segment.ts';
import type { Shares } from './shares.ts';

/** How a request ended. */
interface Result {
  outcome: WriteEvent['outcome'];
  /** What the request actually touched; as begun when omitted, `[]` when it provably changed nothing. */
  drafts?: readonly DraftEvent[];
  /** When its end was seen, epoch milliseconds; now when omitted. */
  observedTime?: number;
}

/** A request whose end has not been seen yet. */
export interface Intent {
  /** Hands its events to the publisher. Only the first call counts. Never throws. */
  finish(result: Result): void;
}

export interface Intents {
  /**
   * @param beganTime when the request began, epoch milliseconds; now when omitted
   * @param doubt a change that no event will report: a gap if this process ends before the request
   */
  begin(drafts: readonly DraftEvent[], beganTime?: number, doubt?: Doubt): Promise<Intent>;
  /** Records a gap for every doubt that was open when an earlier process ended. */
  markDoubts(unfinished: readonly UnfinishedIntent[]): void;
  /** Publishes requests that an earlier process began and did not finish, with an unknown outcome. */
  adopt(unfinished: readonly UnfinishedIntent[]): void;
  /**
   * Intents with a doubt that were finished; the function ends them. They stay until the gaps that they may have become
   * are on the disk: if the process ended before, nothing else would report them.
   */
  takeFinished(): () => void;
  /** When the oldest unfinished request began, epoch milliseconds; undefined when there is none. */
  oldestTime(): number | undefined;
  count(): number;
}

export interface IntentsOptions {
  clock: Clock;
  instance: string;
  /** Unique start of this process's event ids. */
  eventIdPrefix: string;
  /** A segment of intents is no longer needed. */
  onEnded(): void;
  /** Each owner's share of the spool. */
  shares: Pick<Shares, 'mayTake' | 'take' | 'giveBack'>;
  /** All gaps are on the disk. */
  areGapsSaved(): boolean;
  onGap(reason: GapReason, from: number, scope: readonly WriteScope[], lasting: boolean): void;
}

/** A record stays below this, so that reading one back never needs much memory. */
const RECORD_CHARACTERS = 128 * 1024;

/** What is known of a request from its beginning. */
interface Request {
  beganTime: number;
  scope: readonly WriteScope[];
  /** The owner whose share of the spool it takes until its end. */
  owner: string;
  intentBytes: number;
}

/** Owner of requests that do not show whom they concern. */
const NO_OWNER = '';

export function createIntents(options: IntentsOptions, journal: Journal, outbox: Outbox): Intents {
  const { clock, shares } = options;
  const open = new Map<Intent, number>();
  let doubted: (() => void)[] = [];
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

  function spool(lines: readonly string[], request: Request): SegmentPosition[] {
    const { beganTime, owner } = request;
    const parts: SegmentPosition[] = [];
    for (const text of joined(lines)) {
      const place = journal.append({ kind: 'intent', beganTime, lines: text });
      if (place === undefined) break;
      place.segment.unfinished += 1;
      place.segment.firstTime = Math.min(place.segment.firstTime, beganTime);
      shares.take(owner, text.length);
      request.intentBytes += text.length;
      parts.push(place);
    }
    return parts;
  }

  /** Events of a request with an intent on disk may always follow it there: such requests are few. Others need room. */
  function publish(record: EventsRecord, { beganTime, owner, scope }: Request): void {
    const place = record.intent !== 0 || shares.mayTake(owner) ? journal.append(record) : undefined;
    if (place !== undefined) note(place.segment, record, owner);
    if (record.lines === '') return;
    outbox.push(place, record);
    // At best memory has the events, and the intent goes: if the process ended, nothing would report them.
    if (place !== undefined) return;
    options.onGap(shares.mayTake(owner) ? 'spoolFailing' : 'spoolFull', beganTime, scope, false);
  }

  function note(segment: SpoolSegment, { beganTime, lines }: EventsRecord, owner: string): void {
    segment.firstTime = Math.min(segment.firstTime, beganTime);
    if (lines === '') return;
    segment.events += countLines(lines);
    segment.held.set(owner, (segment.held.get(owner) ?? 0) + lines.length);
    shares.take(owner, lines.length);
  }

  function finish(parts: readonly SegmentPosition[], lines: readonly string[], request: Request, result: Result): void {
    const texts = joined(lines);
    const { beganTime } = request;
    const observedTime = result.observedTime ?? clock.now();
    // Each record of the intent gets its counterpart, an empty one if need be, or a restart would bring it back.
    for (let i = 0; i < Math.max(parts.length, texts.length); i++) {
      const part = parts[i];
      const intent = part === undefined ? 0 : placeId(part.segment.number, part.offset);
      const text = texts[i] ?? '';
      publish({ kind: 'events', intent, beganTime, outcome: result.outcome, observedTime, lines: text }, request);
    }
    for (const { segment } of parts) {
      segment.unfinished -= 1;
      if (segment.unfinished === 0 && segment.sealedTime !== undefined) options.onEnded();
    }
  }

  return {
    async begin(drafts, beganTime = clock.now(), doubt = undefined) {
      const lines = encode(drafts, beganTime);
      const noted = doubt === undefined ? lines : [encodeDoubt(doubt), ...lines];
      const scope = doubt?.scope ?? scopeOf(drafts);
      const owner = scope[0] === undefined ? NO_OWNER : scopeName(scope[0]);
      const request: Request = { beganTime, scope, owner, intentBytes: 0 };
      const mayTake = shares.mayTake(owner);
      const parts = mayTake ? spool(noted, request) : [];
      if (parts.length === 0 && noted.length > 0) {
        options.onGap(mayTake ? 'spoolFailing' : 'spoolFull', beganTime, scope, true);
      }
      const end = (result: Result) => {
        if (!open.delete(intent)) return;
        finish(parts, result.drafts === undefined ? lines : encode(result.drafts, beganTime), request, result);
        shares.giveBack(owner, request.intentBytes);
      };
      const intent: Intent = {
        finish(result) {
          if (doubt === undefined || options.areGapsSaved()) end(result);
          else doubted.push(() => end(result));
        },
      };
      open.set(intent, beganTime);
      if (parts.length > 0) await journal.commit();
      return intent;
    },
    markDoubts(unfinished) {
      for (const { beganTime, lines } of unfinished)
        for (const { reason, scope } of separateDoubts(lines).doubts) options.onGap(reason, beganTime, scope, false);
    },
    adopt(unfinished) {
      // Not the time of the request: the API may have committed at any moment since.
      const observedTime = clock.now();
      for (const { id, beganTime, lines: noted } of unfinished) {
        const { lines } = separateDoubts(noted);
        const request: Request = { beganTime, scope: [], owner: NO_OWNER, intentBytes: 0 };
        publish({ kind: 'events', intent: id, beganTime, outcome: 'unknown', observedTime, lines }, request);
      }
    },
    takeFinished() {
      const taken = doubted;
      doubted = [];
      return () => {
        for (const end of taken) end();
      };
    },
    oldestTime() {
      let oldest: number | undefined;
      for (const beganTime of open.values()) oldest = Math.min(oldest ?? beganTime, beganTime);
      return oldest;
    },
    count: () => open.size,
  };
}

/** Joins lines into the texts of records. */
function joined(lines: readonly string[]): string[] {
  const texts: string[] = [];
  for (const line of lines) {
    const last = texts.at(-1);
    if (last === undefined || last.length + line.length > RECORD_CHARACTERS) texts.push(line);
    else texts[texts.length - 1] = `${last}\n${line}`;
  }
  return texts;
}

/** The drafts' scope, for a gap in their place; empty when one of them may concern anyone. */
function scopeOf(drafts: readonly DraftEvent[]): WriteScope[] {
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
