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

/** Beyond this many questions at a time a caller is believed to have written. */
const MAX_WAITING = 256;
/** No feature has this name: with a good key the answer is 404, and creates nothing. */
const FLAGS = '/api/v1/flags/?feature=edge-migration-caller-check';

/**
 * With a made-up key, a body that cannot be read and a connection that is closed before the answer, anyone could open a gap
 * in the name of an environment that Core does not know, and such a gap concerns every project. The questions are asked one
 * after the other.
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
