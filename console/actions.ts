import { projectOf } from '@edge-migration/contract/edge-migration/api.ts';
import {
  type CopySettings,
  decideExtend,
  decideFinish,
  decidePlan,
  decideRequest,
  decideResume,
  decideStart,
  decideSuspend,
  type Extension,
  type SpecChange,
} from '@edge-migration/operator/requests/change.ts';
import { parseDuration } from '@edge-migration/operator/requests/duration.ts';
import { type Decide, warningsOf } from '@edge-migration/operator/requests/edit.ts';
import type { ActionName, ActionState } from './schemas.ts';
import type { ProjectMigration } from './summary.ts';

interface Creation {
  readonly name: 'plan' | 'migrate';
  readonly projectId: number;
  readonly settings: CopySettings;
}

/** A requested action. */
export type RequestedAction =
  | Creation
  | { readonly name: 'suspend' | 'resume' }
  /** @property token the value of spec.retry */
  | { readonly name: 'verify' | 'repair' | 'retry'; readonly token: string }
  | { readonly name: 'extend'; readonly extension: Extension }
  | { readonly name: 'finish' };

/** Whether a decision depends on the API server's time. */
export const needsTime = ({ name }: RequestedAction) => name === 'extend' || name === 'finish';

/** Whether it is possible without an existing EdgeMigration. */
export const isCreating = (action: RequestedAction): action is Creation =>
  action.name === 'plan' || action.name === 'migrate';

/** @param now the API server's time, in milliseconds since the epoch */
export function decideAction(action: RequestedAction, now: number): Decide {
  return (migration): SpecChange => {
    if (isCreating(action)) {
      const { projectId, settings } = action;
      return action.name === 'plan'
        ? decidePlan(migration, projectId, settings)
        : decideStart(migration, projectId, settings);
    }
    if (migration === undefined)
      return { kind: 'refuse', message: 'does not exist: plan or migrate the project first' };
    switch (action.name) {
      case 'suspend':
        return decideSuspend(migration);
      case 'resume':
        return decideResume(migration);
      case 'extend':
        return decideExtend(migration, action.extension, now);
      case 'finish':
        return decideFinish(migration, now);
      default:
        return decideRequest(migration, action.name, action.token, false);
    }
  };
}

/** @param body either `by`, as `7d`, or `until`, in RFC 3339 */
export function extensionOf({ by, until }: { by?: string | undefined; until?: string | undefined }): Extension {
  return until === undefined ? { by: parseDuration(by ?? '') ?? 0 } : { until: Date.parse(until) };
}

/** For each button: the minimum extension is one day. */
const ONE_DAY_SECONDS = 86_400;

/**
 * The actions that are possible on a project now, for callers with the right to do them. @param now milliseconds since
 * the epoch
 */
export function describeActions(
  { migration }: ProjectMigration,
  allowed: boolean,
  now: number,
): Record<ActionName, ActionState> {
  const projectId = projectOf(migration);
  const settings = {};
  const describe = (action: RequestedAction): ActionState => {
    const { namespace, name } = migration;
    const change = decideAction(action, now)(migration, { reference: { namespace, name }, migration });
    const possible = change.kind === 'patch' || change.kind === 'create';
    return { allowed, possible, reason: possible ? null : change.message, warnings: [...warningsOf(change)] };
  };
  return {
    plan: describe({ name: 'plan', projectId, settings }),
    migrate: describe({ name: 'migrate', projectId, settings }),
    suspend: describe({ name: 'suspend' }),
    resume: describe({ name: 'resume' }),
    extend: describe({ name: 'extend', extension: { by: ONE_DAY_SECONDS } }),
    finish: describe({ name: 'finish' }),
    verify: describe({ name: 'verify', token: 'asked' }),
    repair: describe({ name: 'repair', token: 'asked' }),
    retry: describe({ name: 'retry', token: 'asked' }),
  };
}
