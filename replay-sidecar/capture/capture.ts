import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { CapturedWrite, type CaptureParts, captureUnknownRoute } from './captured-write.ts';
import { MissedWrites } from './missed-writes.ts';
import { CaptureTimeoutError } from './proxy/captured-request.ts';
import type { CaptureHook, CaptureStage, RequestHead } from './proxy/hook.ts';
import { createReads } from './reads.ts';
import { createCallerCheck } from './routes/caller-check.ts';
import { planCapture, scopeOf, type WritePlan } from './routes/plan.ts';
import type { Spool } from './spool/spool.ts';
import type { Usage } from './usage/usage.ts';

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

/**
 * The proxy's hook: what a request may change goes into the spool before the API can act on it, and what it changed at
 * most goes to the publisher once the API has answered.
 */
export function createCapture(options: CaptureOptions): FlagsmithCapture {
  const { spool, clock, logger } = options;
  const counts: CaptureCounts = { planned: 0, unknownRoutes: 0, lookups: 0, failedLookups: 0, uncovered: 0 };
  const reads = createReads({ begin: spool.begin, clock, windowMs: options.readWindowMs });
  const parts: CaptureParts = {
    ...{ spool, usage: options.usage, clock, reads, counts },
    callers: createCallerCheck(clock),
    missed: new MissedWrites({ spool, clock, logger, counts }),
  };
  return {
    counts,
    begin(head, call) {
      const plan = planCapture(head);
      if (plan === undefined) return undefined;
      const beganTime = clock.now();
      if (plan.kind === 'unknownRoute') return captureUnknownRoute(parts, plan, head, call, beganTime);
      counts.planned += 1;
      return new CapturedWrite(parts, plan, head, call, beganTime);
    },
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
