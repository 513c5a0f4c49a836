import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { CaptureOutcome } from './proxy/hook.ts';

/** Core took the request. */
export function tookIt(outcome: CaptureOutcome): boolean {
  return outcome.kind === 'responded' && outcome.status >= 200 && outcome.status < 300;
}

/** The answer of Django's admin to a form that it has saved. */
export function savedForm(outcome: CaptureOutcome): boolean {
  return outcome.kind === 'responded' && outcome.status === 302;
}

/**
 * Some of Flagsmith's images answer a read of any path with the dashboard's page. The API itself answers a write with a
 * page if the client asks for one.
 */
export function isPage(outcome: CaptureOutcome): boolean {
  if (outcome.kind !== 'responded') return false;
  const type = outcome.fields.find(({ lower }) => lower === 'content-type')?.value ?? '';
  return /^text\/html\b/i.test(type);
}

/**
 * The client made sure that the answer is unknown. With an invented key the event would concern an environment that
 * Core may have had, and while such an event waits no migration ends.
 */
export function wasCutOff(outcome: CaptureOutcome): boolean {
  return outcome.kind === 'unknown' && outcome.why === 'clientGone';
}

export function eventOutcome(route: 'known' | 'background', outcome: CaptureOutcome): WriteEvent['outcome'] {
  if (route === 'background') return 'background';
  return outcome.kind === 'unknown' ? 'unknown' : 'known';
}
