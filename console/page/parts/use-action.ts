import { useState } from 'preact/hooks';
import { ApiProblemError } from '../client/api.ts';
import type { ActionName, ActionState, ChangeAnswer, Warning } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { useConsole } from './context.ts';

/** A change that waits for confirmation: the requested action, and its irreversible effects. */
export interface Asked {
  readonly action: ActionName;
  readonly body: object;
  readonly warnings: readonly Warning[];
}

/** The message about a change that was not made. */
export const describe = (error: unknown) => (error instanceof ApiProblemError ? error.message : TEXT.failure.network);

/** The warnings that the server wants to be confirmed first; undefined for any other response. */
export const warningsIn = (error: unknown): readonly Warning[] | undefined =>
  error instanceof ApiProblemError && error.problem.code === 'confirmation_required'
    ? (error.problem.warnings ?? [])
    : undefined;

export function whyNot({ allowed, reason }: ActionState): string {
  return allowed ? (reason ?? '') : TEXT.actions.notAllowed;
}

/** Makes changes to a project, and asks first if they cannot be undone or need a setting. */
export function useAction(projectId: number, namespace: string | undefined, changed: () => void) {
  const { api, say } = useConsole();
  const [busy, setBusy] = useState<ActionName>();
  const [asked, setAsked] = useState<Asked>();

  function send(action: ActionName, body: object, query: Record<string, string> = {}) {
    const path = action === 'migrate' ? 'migrate-to-edge' : action;
    const parameters = new URLSearchParams({ ...(namespace === undefined ? {} : { namespace }), ...query });
    return api.post<ChangeAnswer>(`projects/${projectId}/${path}/?${parameters}`, body);
  }

  /** Makes the change; throws the server's request for confirmation. */
  async function make(action: ActionName, body: object): Promise<void> {
    const { message } = await send(action, body);
    say(TEXT.actions.done(message));
    changed();
  }

  async function press(action: ActionName, state: ActionState | undefined, body: object = {}): Promise<void> {
    if (busy !== undefined) return;
    if (action === 'extend') return setAsked({ action, body, warnings: state?.warnings ?? [] });
    setBusy(action);
    try {
      // The known warnings may be stale, and contain a time: a dry run returns the present ones.
      if (state !== undefined && state.warnings.length > 0)
        setAsked({ action, body, warnings: (await send(action, body, { dry_run: 'true' })).warnings });
      else await make(action, body);
    } catch (error) {
      const warnings = warningsIn(error);
      if (warnings === undefined) say(describe(error), 'bad');
      else setAsked({ action, body, warnings });
    }
    setBusy(undefined);
  }

  return { busy, asked, press, make, close: () => setAsked(undefined) };
}
