import { EDGE_MIGRATIONS, nameOf, parseEdgeMigration, titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Warning, WarningCode } from '@edge-migration/operator/requests/change.ts';
import { type EditTarget, editMigration, warningsOf } from '@edge-migration/operator/requests/edit.ts';
import { readServerTime } from '@edge-migration/operator/requests/server-time.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { z } from 'zod';
import type { Access } from './access.ts';
import { decideAction, isCreating, needsTime, type RequestedAction } from './actions.ts';
import type { Caller } from './caller.ts';
import { explainToCaller } from './kubernetes-problem.ts';
import { ProblemError } from './problem.ts';
import type { VisibleProjects } from './projects.ts';
import type { changeSchema } from './schemas.ts';
import { parseProjectMigration, summarize } from './summary.ts';

const FIELD_MANAGER = 'edge-migration-console';

interface ChangeRequest {
  readonly projectId: number;
  readonly namespace?: string | undefined;
  readonly action: RequestedAction;
  readonly dryRun: boolean;
  /** The warnings that the caller has seen and confirmed. */
  readonly confirm: readonly WarningCode[];
}

type ChangeReply = z.infer<typeof changeSchema>;

/** Changes EdgeMigrations on behalf of callers. */
export interface Changes {
  /** @throws ProblemError, ApiError */
  make(caller: Caller, request: ChangeRequest, signal: AbortSignal): Promise<ChangeReply>;
}

export interface ChangesSettings {
  readonly projects: VisibleProjects;
  readonly access: Access;
  /** On behalf of the caller; undefined if the console acts on behalf of no one. */
  readonly clientFor: (caller: Caller) => KubernetesClient | undefined;
  readonly defaultNamespace: string;
  /** All when undefined. */
  readonly watchNamespaces: readonly string[] | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createChanges(settings: ChangesSettings): Changes {
  const { projects, access, clientFor, defaultNamespace, watchNamespaces, clock, logger } = settings;

  async function place(caller: Caller, { projectId, namespace, action }: ChangeRequest) {
    const known = isCreating(action)
      ? await projects.find(caller, projectId, namespace)
      : await projects.get(caller, projectId, namespace);
    const where = known?.migration.namespace ?? namespace ?? defaultNamespace;
    if (watchNamespaces !== undefined && !watchNamespaces.includes(where)) {
      throw new ProblemError(
        'invalid',
        `the operator does not watch namespace ${where}; it watches ${watchNamespaces.join(', ')}`,
      );
    }
    return { namespace: where, name: nameOf(projectId) };
  }

  /** An early check with a readable message; the API server authorizes the caller, or the impersonated one, again. */
  async function requireRight(caller: Caller, target: EditTarget) {
    const { reference, migration } = target;
    const { namespace, name } = reference;
    const attributes = migration === undefined ? { verb: 'create', namespace } : { verb: 'patch', namespace, name };
    if (await access.may(caller, attributes as Parameters<Access['may']>[1])) return;
    throw new ProblemError(
      'forbidden',
      `you (${caller.user}) may not ${attributes.verb} EdgeMigrations in namespace ${namespace}: ask its administrator for the role edge-migration-edit`,
    );
  }

  return {
    async make(caller, request, signal) {
      const { action, dryRun, confirm } = request;
      const client = clientFor(caller);
      if (client === undefined)
        throw new ProblemError('read_only', 'this console changes nothing in your name: use kubectl');
      const reference = await place(caller, request);
      try {
        const object = await client.get(EDGE_MIGRATIONS, reference, { signal });
        const target = { reference, migration: object && parseEdgeMigration(object) };
        await requireRight(caller, target);
        const editor = { client, fieldManager: FIELD_MANAGER, dryRun, clock, signal };
        const now = needsTime(action) ? await readServerTime(client, reference, editor) : 0;
        const ask = (warnings: readonly Warning[]) => {
          if (!dryRun) throw requireConfirmation(target, warnings);
        };
        const edit = await editMigration(editor, target, decideAction(action, now), ask, confirm);
        const answer = reply(edit, target, dryRun);
        if (!dryRun && answer.result !== 'unchanged') {
          const { namespace, name } = reference;
          logger.info({ user: caller.user, action: action.name, migration: `${namespace}/${name}` }, answer.message);
        }
        return answer;
      } catch (error) {
        throw explainToCaller(error);
      }
    },
  };
}

function requireConfirmation({ reference }: EditTarget, warnings: readonly Warning[]): ProblemError {
  const texts = warnings.map(({ text }) => text).join('; ');
  const confirm = JSON.stringify(warnings.map(({ code }) => code));
  const detail = `${titleOf(reference)}: ${texts}. Send it again with "confirm": ${confirm}`;
  return new ProblemError('confirmation_required', detail, { warnings });
}

function reply(
  { change, object }: Awaited<ReturnType<typeof editMigration>>,
  target: EditTarget,
  dryRun: boolean,
): ChangeReply {
  const title = titleOf(target.reference);
  if (change.kind === 'refuse') throw new ProblemError('not_possible', `${title} ${change.message}`);
  if (object === undefined) throw new ProblemError('changed_meanwhile', `${title} was deleted meanwhile: reload it`);
  return {
    result: ({ create: 'created', patch: 'changed', leave: 'unchanged' } as const)[change.kind],
    message: change.message,
    warnings: [...warningsOf(change)],
    dry_run: dryRun,
    // An object that is not stored has no version yet.
    project: summarize(parseProjectMigration({ ...object, metadata: { resourceVersion: '', ...object.metadata } })),
  };
}
