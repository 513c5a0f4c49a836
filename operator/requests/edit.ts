import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  parseEdgeMigration,
  titleOf,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject, ObjectReference } from '@edge-migration/kubernetes/client.ts';
import { ConflictError } from '@edge-migration/kubernetes/errors.ts';
import { apiVersion } from '@edge-migration/kubernetes/objects.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { EDIT } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import type { SpecChange, Warning, WarningCode } from './change.ts';

/** The EdgeMigration to change; undefined if there is none yet. */
export interface EditTarget {
  readonly reference: ObjectReference & { readonly namespace: string };
  readonly migration: EdgeMigration | undefined;
}

export type Decide = (migration: EdgeMigration | undefined, target: EditTarget) => SpecChange;

export interface Editor {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'patch'>;
  readonly fieldManager: string;
  /** The API server validates the change without storing it. */
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Edit {
  readonly change: SpecChange;
  /** Its state at that time; undefined if there is none. */
  readonly object: KubernetesObject | undefined;
}

/** The object to change is gone, or another one has its name; nothing was changed. */
export class DeletedMeanwhileError extends Error {
  override readonly name = 'DeletedMeanwhileError';
}

/**
 * Changes an EdgeMigration as decided. Where it has changed meanwhile, by its operator for example, it is read and decided
 * again.
 *
 * @param confirm called with all warnings of a change if some are new; if it throws, nothing is changed
 * @param confirmed warnings that are already confirmed
 * @throws DeletedMeanwhileError, ApiError
 */
export async function editMigration(
  editor: Editor,
  target: EditTarget,
  decide: Decide,
  confirm: (warnings: readonly Warning[]) => void | Promise<void>,
  confirmed: readonly WarningCode[] = [],
): Promise<Edit> {
  const asked = new Set(confirmed);
  let { migration } = target;
  let isOld = false;

  async function edit(): Promise<Edit> {
    if (isOld) migration = await read(editor, target.reference, migration);
    isOld = true;
    const change = decide(migration, target);
    const warnings = warningsOf(change);
    if (warnings.some(({ code }) => !asked.has(code))) await confirm(warnings);
    for (const { code } of warnings) asked.add(code);
    return { change, object: await act(editor, target.reference, migration, change) };
  }

  const { clock, signal } = editor;
  return retry(edit, { policy: EDIT, clock, signal, isWorthIt: (error) => error instanceof ConflictError });
}

/** Irreversible effects of a change. */
export const warningsOf = (change: SpecChange): readonly Warning[] =>
  (change.kind === 'create' || change.kind === 'patch' ? change.warnings : undefined) ?? [];

async function read({ client, signal }: Editor, reference: EditTarget['reference'], former: EdgeMigration | undefined) {
  const object = await client.get(EDGE_MIGRATIONS, reference, { signal });
  const migration = object && parseEdgeMigration(object);
  if (former !== undefined && migration?.uid !== former.uid)
    throw new DeletedMeanwhileError(`${titleOf(reference)} was deleted meanwhile; nothing was changed`);
  return migration;
}

async function act(
  { client, fieldManager, dryRun, signal }: Editor,
  reference: EditTarget['reference'],
  migration: EdgeMigration | undefined,
  change: SpecChange,
): Promise<KubernetesObject | undefined> {
  const options = { fieldManager, dryRun, signal };
  switch (change.kind) {
    case 'create': {
      const head = { apiVersion: apiVersion(EDGE_MIGRATIONS), kind: EDGE_MIGRATIONS.kind, metadata: { ...reference } };
      return client.create(EDGE_MIGRATIONS, { ...head, spec: change.spec }, options);
    }
    case 'patch': {
      // Only the version that was read is changed: another object of the name, or another version, is read again.
      const { uid, resourceVersion } = migration!;
      const patch = { metadata: { uid, resourceVersion }, spec: change.spec };
      return client.patch(EDGE_MIGRATIONS, reference, patch, options);
    }
    case 'leave':
    case 'refuse':
      return client.get(EDGE_MIGRATIONS, reference, { signal });
  }
}
