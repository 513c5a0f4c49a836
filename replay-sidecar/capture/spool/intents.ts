import type { GapReason } from '@edge-migration/contract/reports/coverage.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { scopeName, type WriteScope } from '@edge-migration/contract/write-scope.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type Doubt, encodeDoubt, separateDoubts } from './doubt.ts';
import type { DraftEvent } from './draft.ts';
import { DraftEncoder } from './draft-encoder.ts';
import type { Journal } from './journal.ts';
import type { Outbox } from './outbox.ts';
import type { UnfinishedIntent } from './recovery.ts';
import { type Request, RequestRecords } from './request-records.ts';
import { scopeOf } from './scope.ts';
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

/** Owner of requests that do not show whom they concern. */
const NO_OWNER = '';

/** The requests under way, each with a record of what it may touch, and those that earlier processes left. */
export class Intents {
  private readonly options: IntentsOptions;
  private readonly journal: Pick<Journal, 'commit'>;
  private readonly encoder: DraftEncoder;
  private readonly records: RequestRecords;
  private readonly open = new Map<Intent, number>();
  private doubted: (() => void)[] = [];

  constructor(options: IntentsOptions, journal: Journal, outbox: Outbox) {
    const { instance, eventIdPrefix, onGap } = options;
    this.options = options;
    this.journal = journal;
    this.encoder = new DraftEncoder({
      ...{ instance, eventIdPrefix },
      onTooLarge: (scope, beganTime) => onGap('eventTooLarge', beganTime, scope, false),
    });
    this.records = new RequestRecords(options, journal, outbox);
  }

  /**
   * @param beganTime when the request began, epoch milliseconds; now when omitted
   * @param doubt a change that no event will report: a gap if this process ends before the request
   */
  async begin(drafts: readonly DraftEvent[], beganTime = this.options.clock.now(), doubt?: Doubt): Promise<Intent> {
    const lines = this.encoder.encode(drafts, beganTime);
    const scope = doubt?.scope ?? scopeOf(drafts);
    const owner = scope[0] === undefined ? NO_OWNER : scopeName(scope[0]);
    const request: Request = { beganTime, scope, owner, parts: [], intentBytes: 0 };
    this.records.begin(doubt === undefined ? lines : [encodeDoubt(doubt), ...lines], request);
    const intent: Intent = {
      finish: (result) => {
        if (doubt === undefined || this.options.areGapsSaved()) this.end(intent, request, lines, result);
        else this.doubted.push(() => this.end(intent, request, lines, result));
      },
    };
    this.open.set(intent, beganTime);
    if (request.parts.length > 0) await this.journal.commit();
    return intent;
  }

  private end(intent: Intent, request: Request, begun: readonly string[], result: Result): void {
    if (!this.open.delete(intent)) return;
    const { drafts, outcome } = result;
    const lines = drafts === undefined ? begun : this.encoder.encode(drafts, request.beganTime);
    this.records.finish(request, lines, outcome, result.observedTime ?? this.options.clock.now());
  }

  /** Records a gap for every doubt that was open when an earlier process ended. */
  markDoubts(unfinished: readonly UnfinishedIntent[]): void {
    const { onGap } = this.options;
    for (const { beganTime, lines } of unfinished)
      for (const { reason, scope } of separateDoubts(lines).doubts) onGap(reason, beganTime, scope, false);
  }

  /** Publishes requests that an earlier process began and did not finish, with an unknown outcome. */
  adopt(unfinished: readonly UnfinishedIntent[]): void {
    // Not the time of the request: the API may have committed at any moment since.
    const observedTime = this.options.clock.now();
    for (const { id, beganTime, lines: noted } of unfinished) {
      const { lines } = separateDoubts(noted);
      const record = { kind: 'events', intent: id, beganTime, outcome: 'unknown', observedTime, lines } as const;
      this.records.publish(record, { beganTime, scope: [], owner: NO_OWNER });
    }
  }

  /**
   * Intents with a doubt that were finished; the function ends them. They stay until the gaps that they may have become
   * are on the disk: if the process ended before, nothing else would report them.
   */
  takeFinished(): () => void {
    const taken = this.doubted;
    this.doubted = [];
    return () => {
      for (const end of taken) end();
    };
  }

  /** When the oldest unfinished request began, epoch milliseconds; undefined when there is none. */
  oldestTime(): number | undefined {
    let oldest: number | undefined;
    for (const beganTime of this.open.values()) oldest = Math.min(oldest ?? beganTime, beganTime);
    return oldest;
  }

  count(): number {
    return this.open.size;
  }
}
