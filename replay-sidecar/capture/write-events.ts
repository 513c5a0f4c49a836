import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { RequestEvents } from './reads.ts';
import type { Doubt } from './spool/doubt.ts';
import type { Spool } from './spool/spool.ts';

/** The events of one write, which has an intent of its own. */
export function createWriteEvents(
  { spool, clock }: { readonly spool: Pick<Spool, 'begin'>; readonly clock: Clock },
  beganTime: number,
  doubt?: Doubt,
): RequestEvents {
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
