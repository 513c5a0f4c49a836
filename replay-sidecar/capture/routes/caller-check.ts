import type { Clock } from '@edge-migration/runtime/clock.ts';

import type { CallUpstream, RequestHead } from '../proxy/hook.ts';
import { askStatus, type Passed } from './lookup.ts';
import type { UnknownRoute } from './plan.ts';
import type { MatchedRequest } from './route.ts';
import { DJANGO_ADMIN } from './table.ts';

/** Checks whether Core would have let the caller write at all, where the answer to the request did not show it. */
export interface CallerCheck {
  /**
   * Whether Core may have taken a write of this caller. False only when Core refuses the caller now: then it has
   * refused the request, too. Never rejects.
   *
   * @param bodyBytes of the request, whose events take memory until the answer
   */
  mayWrite(question: CallerQuestion, head: RequestHead, call: CallUpstream, bodyBytes: number): Promise<boolean>;
}

/** A resource that a caller with write access may read, and the answers with which Core refuses the caller. */
export interface CallerQuestion {
  readonly target: string;
  readonly refusals: readonly number[];
  /** Core knows the caller by these fields. */
  readonly credentials: readonly string[];
}

/** Bytes of memory for waiting questions; beyond this a caller is believed to have written. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** Memory per byte of a body for its events. */
const BYTES_PER_BYTE = 3;
/** Memory of a question besides its credentials, including what a request line may name. */
const QUESTION_BYTES = 16 * 1024;
/** Until then no report says that all is sent. Then a caller is believed to have written, as without Core's answer. */
const LONGEST_WAIT_MS = 10_000;
/** No feature has this name: with a valid key the answer is 404, and creates nothing. */
const FLAGS = '/api/v1/flags/?feature=edge-migration-caller-check';
/** The path of an environment's own settings, its key among them. */
const ITSELF = 'environments/<environment>/';
/** Empty for every caller that Core knows, even for master API keys, which not all releases let list organisations. */
const PROJECTS = '/api/v1/projects/?organisation=0';

/**
 * With a made-up key, an unreadable body and a connection that is closed before the answer, anyone could open a gap in
 * the name of an environment that Core does not know, and such a gap concerns every project. Questions are asked one
 * after the other.
 */
export function createCallerCheck(clock: Clock): CallerCheck {
  let waitingBytes = 0;
  let last: Promise<unknown> = Promise.resolve();

  return {
    mayWrite({ target, refusals, credentials: names }, head, call, bodyBytes) {
      const credentials = credentialsIn(names, head);
      const own = QUESTION_BYTES + BYTES_PER_BYTE * bodyBytes;
      const bytes = credentials.reduce((sum, { value }) => sum + value.length, own);
      if (waitingBytes + bytes > MAX_WAITING_BYTES) return Promise.resolve(true);
      waitingBytes += bytes;
      const began = clock.monotonic();
      const answer = last.then(async () => {
        const isLate = clock.monotonic() - began > LONGEST_WAIT_MS;
        const isRefused = !isLate && (await refuses(target, credentials, refusals, call));
        waitingBytes -= bytes;
        return !isRefused;
      });
      last = answer;
      return answer;
    },
  };
}

async function refuses(target: string, credentials: Passed, refusals: readonly number[], call: CallUpstream) {
  const isRefusal = (status: number | undefined) => status !== undefined && refusals.includes(status);
  const status = await askStatus(target, credentials, call);
  // Malformed credentials, which the server rejects before Core looks at them, were as malformed in the request.
  return isRefusal(status) || (status === 400 && isRefusal(await askStatus(target, [], call)));
}

/** Only a proxy in front of us can say whom Core redirects to HTTPS, and lets into the Django admin by address. */
const BY_KEY: readonly string[] = ['x-environment-key', 'x-forwarded-proto'];
const BY_SESSION: readonly string[] = ['authorization', 'cookie', 'x-forwarded-for', 'x-forwarded-proto'];

/**
 * The fields by which Core knows a caller, and nothing else: a field that the server or Django rejects before checking
 * the caller (a long one, an invalid `X-Forwarded-Host`) would make every caller look like one that Core knows. Copies,
 * because substrings of a head keep all of it in memory.
 */
function credentialsIn(names: readonly string[], head: RequestHead): Passed {
  const sent = head.fields.filter(({ lower }) => names.includes(lower));
  return structuredClone(sent.map(({ name, value }) => ({ name, value })));
}

/** For the caller of a request that the route table knows. */
export function questionFor({ route, parameter }: MatchedRequest): CallerQuestion {
  if (route === DJANGO_ADMIN) return { target: '/admin/', refusals: [302, 401, 403], credentials: BY_SESSION };
  if (route.environment === 'header') return BY_ITS_KEY;
  // The key may be missing because the request itself gave the environment another one.
  if (route.environment === 'path') return aboutEnvironment(parameter('environment'), route.path === ITSELF);
  const project = parameter('project');
  if (project === '') return ABOUT_PROJECTS;
  const target = `/api/v1/projects/${encodeURIComponent(project)}/`;
  return { target, refusals: [401, 403, 404], credentials: BY_SESSION };
}

/** For the caller of a request that the table does not know. */
export function questionForUnknown({ isKeyed, environmentKey }: UnknownRoute): CallerQuestion {
  if (isKeyed) return BY_ITS_KEY;
  return environmentKey === undefined ? ABOUT_PROJECTS : aboutEnvironment(environmentKey, true);
}

const BY_ITS_KEY: CallerQuestion = { target: FLAGS, refusals: [401, 403], credentials: BY_KEY };
const ABOUT_PROJECTS: CallerQuestion = { target: PROJECTS, refusals: [401, 403], credentials: BY_SESSION };

/** Only its administrators may read an environment, and others may write in it: 403 proves nothing. */
function aboutEnvironment(key: string, mayBeGone: boolean): CallerQuestion {
  const target = `/api/v1/environments/${encodeURIComponent(key)}/`;
  return { target, refusals: mayBeGone ? [401] : [401, 404], credentials: BY_SESSION };
}
