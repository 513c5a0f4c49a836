import type { GapReason } from '@edge-migration/contract/reports/coverage.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { Journal } from './journal.ts';
import type { Outbox } from './outbox.ts';
import { countLines, type EventsRecord, placeId } from './record.ts';
import type { SegmentPosition, SpoolSegment } from './segment.ts';
import type { Shares } from './shares.ts';

/** What is known of a request from its beginning. */
export interface Request {
  readonly beganTime: number;
  readonly scope: readonly WriteScope[];
  /** The owner whose share of the spool it takes until its end. */
  readonly owner: string;
  /** Where its intent is, and how much of the share that takes. */
  readonly parts: SegmentPosition[];
  intentBytes: number;
}

export interface RequestRecordsOptions {
  /** A segment of intents is no longer needed. */
  onEnded(): void;
  /** Each owner's share of the spool. */
  readonly shares: Pick<Shares, 'mayTake' | 'take' | 'giveBack'>;
  onGap(reason: GapReason, from: number, scope: readonly WriteScope[], lasting: boolean): void;
}

/** A record stays below this, so that reading one back never needs much memory. */
const RECORD_CHARACTERS = 128 * 1024;

/** Writes what becomes of a request to the journal, within its owner's share, and hands its events to the outbox. */
export class RequestRecords {
  private readonly options: RequestRecordsOptions;
  private readonly journal: Pick<Journal, 'append'>;
  private readonly outbox: Pick<Outbox, 'push'>;

  constructor(options: RequestRecordsOptions, journal: Pick<Journal, 'append'>, outbox: Pick<Outbox, 'push'>) {
    this.options = options;
    this.journal = journal;
    this.outbox = outbox;
  }

  /** Appends the intent; where the share does not suffice, or the disk fails, a gap is open instead. */
  begin(lines: readonly string[], request: Request): void {
    const { shares, onGap } = this.options;
    const { beganTime, owner, scope, parts } = request;
    const mayTake = shares.mayTake(owner);
    if (mayTake) this.append(lines, request);
    if (parts.length === 0 && lines.length > 0) {
      onGap(mayTake ? 'spoolFailing' : 'spoolFull', beganTime, scope, true);
    }
  }

  private append(lines: readonly string[], request: Request): void {
    const { beganTime, owner } = request;
    for (const text of joined(lines)) {
      const place = this.journal.append({ kind: 'intent', beganTime, lines: text });
      if (place === undefined) break;
      place.segment.unfinished += 1;
      place.segment.firstTime = Math.min(place.segment.firstTime, beganTime);
      this.options.shares.take(owner, text.length);
      request.intentBytes += text.length;
      request.parts.push(place);
    }
  }

  /** Appends and hands out the events, and ends the intent. */
  finish(request: Request, lines: readonly string[], outcome: WriteEvent['outcome'], observedTime: number): void {
    const texts = joined(lines);
    const { beganTime, parts, owner } = request;
    // Each record of the intent gets its counterpart, an empty one if need be, or a restart would bring it back.
    for (let i = 0; i < Math.max(parts.length, texts.length); i++) {
      const part = parts[i];
      const intent = part === undefined ? 0 : placeId(part.segment.number, part.offset);
      this.publish({ kind: 'events', intent, beganTime, outcome, observedTime, lines: texts[i] ?? '' }, request);
    }
    for (const { segment } of parts) {
      segment.unfinished -= 1;
      if (segment.unfinished === 0 && segment.sealedTime !== undefined) this.options.onEnded();
    }
    this.options.shares.giveBack(owner, request.intentBytes);
  }

  /** Events of a request with an intent on disk may always follow it there: such requests are few. Others need room. */
  publish(record: EventsRecord, { beganTime, owner, scope }: Pick<Request, 'beganTime' | 'owner' | 'scope'>): void {
    const { shares, onGap } = this.options;
    const place = record.intent !== 0 || shares.mayTake(owner) ? this.journal.append(record) : undefined;
    if (place !== undefined) this.note(place.segment, record, owner);
    if (record.lines === '') return;
    this.outbox.push(place, record);
    // At best memory has the events, and the intent goes: if the process ended, nothing would report them.
    if (place !== undefined) return;
    onGap(shares.mayTake(owner) ? 'spoolFailing' : 'spoolFull', beganTime, scope, false);
  }

  private note(segment: SpoolSegment, { beganTime, lines }: EventsRecord, owner: string): void {
    segment.firstTime = Math.min(segment.firstTime, beganTime);
    if (lines === '') return;
    segment.events += countLines(lines);
    segment.held.set(owner, (segment.held.get(owner) ?? 0) + lines.length);
    this.options.shares.take(owner, lines.length);
  }
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
