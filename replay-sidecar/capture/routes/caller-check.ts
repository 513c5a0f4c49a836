import type { CallUpstream, RequestHead } from '../proxy/hook.ts';
import { askStatus } from './lookup.ts';
import type { MatchedRequest } from './route.ts';
import { DJANGO_ADMIN } from './table.ts';

/** Tells whether Core would have let the caller write at all, where the answer to the request did not. */
export interface CallerCheck {
  /**
   * Whether Core may have taken a write of this caller. False only when Core refuses the caller now: then it has refused
   * the request, too. Never rejects.
   */
  mayWrite(request: MatchedRequest, head: RequestHead, call: CallUpstream): Promise<boolean>;
}

/** More callers than this are not asked about at a time: whoever sends so many is believed to have written. */
const MAX_WAITING = 256;
/** No feature has this name: with a good key the answer is 404, and creates nothing. */
const FLAGS = '/api/v1/flags/?feature=edge-migration-caller-check';

/**
 * Whoever makes up an environment's key could open gaps in the name of what Core does not know, which means everyone: with
 * a body that cannot be read, and by leaving before the answer. One caller is asked about after the other.
 */
export function createCallerCheck(): CallerCheck {
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  return {
    mayWrite(request, head, call) {
      if (waiting >= MAX_WAITING) return Promise.resolve(true);
      waiting += 1;
      const { target, refusals } = questionFor(request);
      const answer = last.then(async () => {
        const status = await askStatus(target, head, call);
        waiting -= 1;
        return status === undefined || !refusals.includes(status);
      });
      last = answer;
      return answer;
    },
  };
}

/** What the caller may read that can write, and the answers with which Core refuses it. */
function questionFor({ route, parameter }: MatchedRequest): { target: string; refusals: readonly number[] } {
  if (route === DJANGO_ADMIN) return { target: '/admin/', refusals: [302, 401, 403] };
  if (route.environment === 'header') return { target: FLAGS, refusals: [401, 403] };
  const refusals = [401, 403, 404];
  if (route.environment === 'path') {
    return { target: `/api/v1/environments/${encodeURIComponent(parameter('environment'))}/`, refusals };
  }
  const project = parameter('project');
  const target = project === '' ? 'organisations/' : `projects/${encodeURIComponent(project)}/`;
  return { target: `/api/v1/${target}`, refusals };
}
