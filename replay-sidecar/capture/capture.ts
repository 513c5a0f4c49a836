import type { GapReason } from '@edge-migration/contract/reports/coverage.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { CaptureTimeoutError } from './proxy/captured-request.ts';
import type { CallUpstream, Capture, CaptureHook, CaptureOutcome, CaptureStage, RequestHead } from './proxy/hook.ts';
import { createReads, type RequestEvents } from './reads.ts';
import { createRequestParts } from './request-parts.ts';
import { createCallerCheck, questionFor, questionForUnknown } from './routes/caller-check.ts';
import { askCore } from './routes/lookup.ts';
import {
  type Captured,
  marksOf,
  planCapture,
  planEvents,
  type ReadRequest,
  readRequest,
  scopeOf,
  UNANSWERED,
  type Uncovered,
  type UncoveredReason,
  type UnknownRoute,
  type WritePlan,
  withoutContent,
} from './routes/plan.ts';
import type { Route } from './routes/route.ts';
import type { Doubt } from './spool/doubt.ts';
import type { DraftEvent } from './spool/draft.ts';
import type { Spool } from './spool/spool.ts';
import { nameClient } from './usage/client-name.ts';
import type { Usage, UsageKind } from './usage/usage.ts';

export interface CaptureOptions {
  spool: Pick<Spool, 'begin' | 'gaps'>;
  usage: Pick<Usage, 'note' | 'name'>;
  clock: Clock;
  logger: Logger;
  /** Reads that may have created the same identity are published at most once within this time, and once after it. */
  readWindowMs: number;
}

export interface CaptureCounts {
  /** Requests that may have changed identities, by their heads. */
  planned: number;
  /** Requests that look like identity writes, match no route of the table, and were taken by Core; each is in a gap. */
  unknownRoutes: number;
  lookups: number;
  failedLookups: number;
  /** Writes that no event covers; each is in a gap. */
  uncovered: number;
}

export interface FlagsmithCapture extends CaptureHook {
  readonly counts: Readonly<CaptureCounts>;
  /** Publishes reads that have been held back long enough; to be called every second or so. */
  tick(): void;
  /** Publishes all reads that are held back, for a shutdown. */
  flush(): void;
}

const GAP_REASONS: Record<UncoveredReason, GapReason> = {
  bodyTooLarge: 'bodyTooLarge',
  bodyUnreadable: 'bodyUnreadable',
  unnamed: 'unnamedWrite',
};

/** Logged shapes of unknown routes; more than this says nothing new. */
const MAX_LOGGED_ROUTES = 100;

/**
 * The proxy's hook: what a request may change goes into the spool before the API can act on it, and what it changed at
 * most goes to the publisher once the API has answered.
 */
export function createCapture(options: CaptureOptions): FlagsmithCapture {
  const { spool, usage, clock, logger } = options;
  const counts: CaptureCounts = { planned: 0, unknownRoutes: 0, lookups: 0, failedLookups: 0, uncovered: 0 };
  const logged = new Set<string>();
  const callers = createCallerCheck(clock);
  const reads = createReads({ begin: spool.begin, clock, windowMs: options.readWindowMs });

  /** Events of one write. */
  function write(beganTime: number, doubt?: Doubt): RequestEvents {
    let intent: ReturnType<Spool['begin']> | undefined;
    return {
      begin(drafts) {
        // Also without drafts: the answer may name what the request does not, and its event began here.
        intent = spool.begin(drafts, beganTime, doubt);
        return drafts.length === 0 && doubt === undefined ? undefined : intent.then(() => undefined);
      },
      finish(drafts, outcome) {
        const result = { outcome, observedTime: clock.now(), ...(drafts && { drafts }) };
        void intent?.then((begun) => begun.finish(result));
      },
    };
  }

  function reportUnknownRoute({ shape, scope }: UnknownRoute, from: number): void {
    counts.unknownRoutes += 1;
    spool.gaps.mark('unknownRoute', from, clock.now(), scope);
    if (logged.has(shape) || logged.size >= MAX_LOGGED_ROUTES) return;
    logged.add(shape);
    logger.warn({ route: shape }, 'the API took a write near identities that this release does not know');
  }

  function reportUncovered({ reason, scope }: Uncovered, from: number, until: number): void {
    counts.uncovered += 1;
    spool.gaps.mark(GAP_REASONS[reason], from, until, scope);
  }

  /** Until it is known whether the caller may write at all, no report says that all is sent. */
  async function reportUnlessRefused(uncovered: Uncovered, from: number, asked: Promise<boolean>): Promise<void> {
    const until = clock.now();
    const held = write(from, doubtOf(uncovered));
    held.begin([]);
    if (await asked) reportUncovered(uncovered, from, until);
    held.finish([], 'known');
  }

  async function lookUp(plan: WritePlan, head: RequestHead, call: CallUpstream): Promise<unknown> {
    if (plan.lookup === undefined) return undefined;
    counts.lookups += 1;
    const found = await askCore(plan.lookup, head, call);
    if (found === undefined) counts.failedLookups += 1;
    return found;
  }

  function observeUnknownRoute(plan: UnknownRoute, beganTime: number, head: RequestHead, call: CallUpstream): Capture {
    const isRead = SAFE.has(head.method.toUpperCase());
    const events = write(beganTime, { reason: 'unknownRoute', scope: plan.scope });
    const end = (wasTaken: boolean) => {
      if (wasTaken) reportUnknownRoute(plan, beganTime);
      events.finish([], 'known');
    };
    return {
      needsBody: false,
      needsResponseBody: false,
      // A read changes nothing that Flagsmith is known for; its answer shows the rest.
      intent: () => (isRead ? undefined : events.begin([])),
      finish(outcome) {
        if (outcome.kind === 'unknown' && !isRead)
          void callers.mayWrite(questionForUnknown(plan), head, call, 0).then(end);
        else end(tookIt(outcome) && !(isRead && isPage(outcome)));
      },
    };
  }

  function begin(head: RequestHead, call: CallUpstream): Capture | undefined {
    const plan = planCapture(head);
    if (plan === undefined) return undefined;
    const beganTime = clock.now();
    if (plan.kind === 'unknownRoute') return observeUnknownRoute(plan, beganTime, head, call);
    counts.planned += 1;
    const { route } = plan.request;
    const open = (uncovered: Uncovered | undefined) =>
      route.rateLimited && uncovered === undefined ? reads.one() : write(beganTime, uncovered && doubtOf(uncovered));
    const note = (read: ReadRequest) => ({
      ...planEvents(plan, read, UNANSWERED),
      left: withoutContent(plan, read),
    });
    const request = createRequestParts(open, note, { reason: 'bodyUnreadable', scope: scopeOf(plan.request) });
    let found: unknown;
    let bodyBytes = 0;
    let asked: Promise<boolean> | undefined;
    let isCounted = false;
    const count = (captured: Captured, outcome: CaptureOutcome) => {
      const { environment } = plan.request;
      const kind = tookIt(outcome) ? kindOf(route, captured) : undefined;
      if (kind === undefined || environment === undefined) return;
      const marks = kind === 'write' ? (captured.marks ?? marksOf(captured.drafts)) : [];
      // A long request comes in parts, but counts once.
      if (!isCounted) usage.note(environment, nameClient(head), kind, marks);
      else if (kind === 'write') usage.name(environment, marks);
      isCounted = true;
    };
    const mayWrite = () => {
      asked ??= callers.mayWrite(questionFor(plan.request), head, call, bodyBytes);
      return asked;
    };
    return {
      needsBody: route.body !== 'none',
      needsResponseBody: route.readsAnswer,
      ...(plan.lookup && {
        async prepare(ask: CallUpstream) {
          found = await lookUp(plan, head, ask);
        },
      }),
      intent(body, extent) {
        bodyBytes = body?.length ?? 0;
        return request.begin(readRequest(plan, body, extent, found));
      },
      finish(outcome) {
        // Without an intent nothing reached the API, or the proxy reported it missed.
        request.finish(({ read, events }) => {
          const captured = planEvents(plan, read, outcome);
          count(captured, outcome);
          const end = (drafts = finalDrafts(route, captured)) =>
            events.finish(drafts, eventOutcome(route.outcome, outcome));
          if (captured.drafts.length > 0 && wasCutOff(outcome)) void mayWrite().then((may) => (may ? end() : end([])));
          else end();
          if (captured.uncovered === undefined) return;
          if (tookIt(outcome) || savedForm(outcome)) reportUncovered(captured.uncovered, beganTime, clock.now());
          else void reportUnlessRefused(captured.uncovered, beganTime, mayWrite());
        });
      },
    };
  }

  return {
    counts,
    begin,
    missed(head, stage, error) {
      const plan = plannedAfterAll(head);
      logger.error({ stage, err: error, route: plan?.request.route.name }, 'a request could not be captured');
      if (!losesWrites(stage, error)) return;
      spool.gaps.mark('captureFailed', clock.now(), clock.now(), plan && scopeOf(plan.request));
    },
    tick: reads.tick,
    flush: reads.flush,
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

/** The answer of Django's admin to a form that it has saved. */
function savedForm(outcome: CaptureOutcome): boolean {
  return outcome.kind === 'responded' && outcome.status === 302;
}

function tookIt(outcome: CaptureOutcome): boolean {
  return outcome.kind === 'responded' && outcome.status >= 200 && outcome.status < 300;
}

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Some of Flagsmith's images answer a read of any path with the dashboard's page. The API itself answers a write with a
 * page if the client asks for one.
 */
function isPage(outcome: CaptureOutcome): boolean {
  if (outcome.kind !== 'responded') return false;
  const type = outcome.fields.find(({ lower }) => lower === 'content-type')?.value ?? '';
  return /^text\/html\b/i.test(type);
}

/**
 * The client made sure that the answer is unknown. With an invented key the event would concern an environment that
 * Core may have had, and while such an event waits no migration ends.
 */
function wasCutOff(outcome: CaptureOutcome): boolean {
  return outcome.kind === 'unknown' && outcome.why === 'clientGone';
}

function eventOutcome(route: 'known' | 'background', outcome: CaptureOutcome): WriteEvent['outcome'] {
  if (route === 'background') return 'background';
  return outcome.kind === 'unknown' ? 'unknown' : 'known';
}

/** Without a lookup an event only gets wider, and a late intent is still in the spool, which knows its own gaps. */
function losesWrites(stage: CaptureStage, error: unknown): boolean {
  return stage !== 'prepare' && !(stage === 'intent' && error instanceof CaptureTimeoutError);
}

function plannedAfterAll(head: RequestHead): WritePlan | undefined {
  try {
    const plan = planCapture(head);
    return plan?.kind === 'write' ? plan : undefined;
  } catch {
    // This is what `begin` failed on.
    return undefined;
  }
}

/** Undefined when the answer cannot have changed them since the intent, so that they need not be written again. */
function finalDrafts(route: Route, captured: Captured): readonly DraftEvent[] | undefined {
  if (captured.drafts.length === 0) return [];
  return route.readsAnswer && !route.rateLimited ? captured.drafts : undefined;
}

const doubtOf = ({ reason, scope }: Uncovered): Doubt => ({ reason: GAP_REASONS[reason], scope });
