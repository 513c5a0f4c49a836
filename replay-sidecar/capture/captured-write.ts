import type { Clock } from '@edge-migration/runtime/clock.ts';
import { doubtOf, type MissedWrites } from './missed-writes.ts';
import { eventOutcome, isPage, savedForm, tookIt, wasCutOff } from './outcome.ts';
import type { BodyExtent, CallUpstream, Capture, CaptureOutcome, RequestHead } from './proxy/hook.ts';
import type { Reads, RequestEvents } from './reads.ts';
import { createRequestParts, type RequestParts } from './request-parts.ts';
import { type CallerCheck, questionFor, questionForUnknown } from './routes/caller-check.ts';
import { askCore } from './routes/lookup.ts';
import {
  type Captured,
  marksOf,
  planEvents,
  type ReadRequest,
  readRequest,
  scopeOf,
  UNANSWERED,
  type Uncovered,
  type UnknownRoute,
  type WritePlan,
  withoutContent,
} from './routes/plan.ts';
import type { Route } from './routes/route.ts';
import type { DraftEvent } from './spool/draft.ts';
import type { Spool } from './spool/spool.ts';
import { nameClient } from './usage/client-name.ts';
import type { Usage, UsageKind } from './usage/usage.ts';
import { createWriteEvents } from './write-events.ts';

/** What the captures of all requests share. */
export interface CaptureParts {
  readonly spool: Pick<Spool, 'begin'>;
  readonly usage: Pick<Usage, 'note' | 'name'>;
  readonly clock: Clock;
  readonly callers: CallerCheck;
  readonly reads: Pick<Reads, 'one'>;
  readonly missed: MissedWrites;
  readonly counts: { lookups: number; failedLookups: number };
}

/** A request that may change identities, or that creates one as it reads. */
export class CapturedWrite implements Capture {
  readonly needsBody: boolean;
  readonly needsResponseBody: boolean;
  /** Only if something vanishes with the request. */
  readonly prepare?: (call: CallUpstream) => Promise<void>;
  private readonly parts: CaptureParts;
  private readonly plan: WritePlan;
  private readonly head: RequestHead;
  private readonly call: CallUpstream;
  private readonly beganTime: number;
  private readonly request: RequestParts;
  /** Core's answer about what the request is going to remove. */
  private found: unknown;
  private bodyBytes = 0;
  private asked: Promise<boolean> | undefined;
  private isCounted = false;

  constructor(parts: CaptureParts, plan: WritePlan, head: RequestHead, call: CallUpstream, beganTime: number) {
    const { route } = plan.request;
    this.needsBody = route.body !== 'none';
    this.needsResponseBody = route.readsAnswer;
    this.parts = parts;
    this.plan = plan;
    this.head = head;
    this.call = call;
    this.beganTime = beganTime;
    if (plan.lookup !== undefined) this.prepare = (ask) => this.lookUp(ask);
    const open = (uncovered: Uncovered | undefined) =>
      route.rateLimited && uncovered === undefined ? parts.reads.one() : this.open(uncovered);
    const note = (read: ReadRequest) => ({
      ...planEvents(plan, read, UNANSWERED),
      left: withoutContent(plan, read),
    });
    this.request = createRequestParts(open, note, { reason: 'bodyUnreadable', scope: scopeOf(plan.request) });
  }

  intent(body: Buffer | undefined, extent: BodyExtent): Promise<void> | undefined {
    this.bodyBytes = body?.length ?? 0;
    return this.request.begin(readRequest(this.plan, body, extent, this.found));
  }

  finish(outcome: CaptureOutcome): void {
    this.request.finish(({ read, events }) => this.finishPart(read, events, outcome));
  }

  private open(uncovered: Uncovered | undefined): RequestEvents {
    return createWriteEvents(this.parts, this.beganTime, uncovered && doubtOf(uncovered));
  }

  private async lookUp(call: CallUpstream): Promise<void> {
    const { lookup } = this.plan;
    if (lookup === undefined) return;
    const { counts } = this.parts;
    counts.lookups += 1;
    this.found = await askCore(lookup, this.head, call);
    if (this.found === undefined) counts.failedLookups += 1;
  }

  private finishPart(read: ReadRequest, events: RequestEvents, outcome: CaptureOutcome): void {
    const { route } = this.plan.request;
    const captured = planEvents(this.plan, read, outcome);
    this.count(captured, outcome);
    const end = (drafts = finalDrafts(route, captured)) => events.finish(drafts, eventOutcome(route.outcome, outcome));
    if (captured.drafts.length > 0 && wasCutOff(outcome)) void this.mayWrite().then((may) => (may ? end() : end([])));
    else end();
    if (captured.uncovered === undefined) return;
    const { missed, clock } = this.parts;
    if (tookIt(outcome) || savedForm(outcome)) missed.reportUncovered(captured.uncovered, this.beganTime, clock.now());
    else void this.reportUnlessRefused(captured.uncovered, this.mayWrite());
  }

  /** Until it is known whether the caller may write at all, no report says that all is sent. */
  private async reportUnlessRefused(uncovered: Uncovered, asked: Promise<boolean>): Promise<void> {
    const until = this.parts.clock.now();
    const held = this.open(uncovered);
    held.begin([]);
    if (await asked) this.parts.missed.reportUncovered(uncovered, this.beganTime, until);
    held.finish([], 'known');
  }

  private mayWrite(): Promise<boolean> {
    const { plan, head, call, bodyBytes } = this;
    this.asked ??= this.parts.callers.mayWrite(questionFor(plan.request), head, call, bodyBytes);
    return this.asked;
  }

  private count(captured: Captured, outcome: CaptureOutcome): void {
    const { environment, route } = this.plan.request;
    const { usage } = this.parts;
    const kind = tookIt(outcome) ? kindOf(route, captured) : undefined;
    if (kind === undefined || environment === undefined) return;
    const marks = kind === 'write' ? (captured.marks ?? marksOf(captured.drafts)) : [];
    // A long request comes in parts, but counts once.
    if (!this.isCounted) usage.note(environment, nameClient(this.head), kind, marks);
    else if (kind === 'write') usage.name(environment, marks);
    this.isCounted = true;
  }
}

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** A request near identities that no route describes: a gap if Core took it. */
export function captureUnknownRoute(
  parts: CaptureParts,
  plan: UnknownRoute,
  head: RequestHead,
  call: CallUpstream,
  beganTime: number,
): Capture {
  const isRead = SAFE.has(head.method.toUpperCase());
  const events = createWriteEvents(parts, beganTime, { reason: 'unknownRoute', scope: plan.scope });
  const end = (wasTaken: boolean) => {
    if (wasTaken) parts.missed.reportUnknownRoute(plan, beganTime);
    events.finish([], 'known');
  };
  return {
    needsBody: false,
    needsResponseBody: false,
    // A read changes nothing that Flagsmith is known for; its answer shows the rest.
    intent: () => (isRead ? undefined : events.begin([])),
    finish(outcome) {
      if (outcome.kind === 'unknown' && !isRead)
        void parts.callers.mayWrite(questionForUnknown(plan), head, call, 0).then(end);
      else end(tookIt(outcome) && !(isRead && isPage(outcome)));
    },
  };
}

/**
 * What a request that Core took did to identities of its environment; undefined if it does not concern them. An SDK
 * request that stores nothing shows just as well as a read that its app is still on Core.
 */
function kindOf(route: Route, { drafts, uncovered }: Captured): UsageKind | undefined {
  if (route.rateLimited) return 'read';
  const isOfSdk = route.environment === 'header';
  if (!isOfSdk && !route.path.includes('/identities/')) return undefined;
  if (drafts.length > 0 || uncovered !== undefined) return 'write';
  return isOfSdk ? 'read' : undefined;
}

/** Undefined when the answer cannot have changed them since the intent, so that they need not be written again. */
function finalDrafts(route: Route, captured: Captured): readonly DraftEvent[] | undefined {
  if (captured.drafts.length === 0) return [];
  return route.readsAnswer && !route.rateLimited ? captured.drafts : undefined;
}
