import { EDGE_MIGRATIONS, type EdgeMigration, type Status } from '@edge-migration/contract/edge-migration/api.ts';
import { projectOf } from '@edge-migration/contract/edge-migration/verdict.ts';
import type { Reconcile, ReconcileContext, ReconcileResult } from '@edge-migration/kubernetes/controller.ts';
import { ConflictError } from '@edge-migration/kubernetes/errors.ts';
import { objectKey, parseObjectKey } from '@edge-migration/kubernetes/objects.ts';
import { act } from './act/act.ts';
import type { ActionContext } from './act/context.ts';
import { applyStatus } from './act/status.ts';
import { sweep } from './act/sweep.ts';
import type { Action } from './actions.ts';
import { type Decision, decide } from './decide.ts';
import { degrade } from './failure.ts';
import { observe } from './observe.ts';
import { BY_KEY, type Sources } from './sources.ts';

export interface ReconcileSettings {
  sources: Sources;
  context: ActionContext;
  /** Called with every status that was written, and the one before. */
  onStatus: (migration: EdgeMigration, status: Status) => void;
}

/** How long a decision waits for the cache to show this replica's own last write before it goes on without. */
const OWN_WRITE_MS = 5_000;

/** Reconciles one EdgeMigration: observe, decide, act, and then report it in the status. */
export function createReconcile({ sources, context, onStatus }: ReconcileSettings): Reconcile {
  const { client, clock } = context;
  /** By key: the version that our last write was based on, which the cache may still show. */
  const written = new Map<string, { over: string; time: number }>();

  function isBehind(migration: EdgeMigration): boolean {
    const last = written.get(objectKey(migration));
    return (
      last !== undefined && last.over === migration.resourceVersion && clock.monotonic() - last.time < OWN_WRITE_MS
    );
  }

  async function record(migration: EdgeMigration, status: Status, signal: AbortSignal) {
    if (!(await applyStatus(client, migration, status, signal))) return;
    written.set(objectKey(migration), { over: migration.resourceVersion, time: clock.monotonic() });
    onStatus(migration, status);
  }

  /**
   * The cache may be stale because an API server lags or a watch event was lost: nothing is done for an EdgeMigration
   * that has changed, gone or been created again since.
   */
  async function confirm(migration: EdgeMigration, signal: AbortSignal) {
    const { namespace, name, resourceVersion } = migration;
    const living = await client.get(EDGE_MIGRATIONS, { namespace, name }, { signal });
    if (living?.metadata.resourceVersion === resourceVersion) return;
    throw new ConflictError(`EdgeMigration ${namespace}/${name} has changed since it was cached`, {
      status: 409,
      reason: 'CacheBehind',
      disposition: 'conflict',
    });
  }

  async function execute(migration: EdgeMigration, decision: Decision, { signal, logger }: ReconcileContext) {
    try {
      const { record } = decision;
      const actions: Action[] = [...decision.actions, ...(record ? [{ kind: 'writeRecord', record } as const] : [])];
      if (actions.length > 0) await confirm(migration, signal);
      for (const action of actions) await act(context, { migration, logger, signal }, action);
    } catch (error) {
      const status = degrade(migration, error, signal, clock.now());
      if (status !== undefined) await record(migration, status, signal);
      throw error;
    }
    await record(migration, decision.status, signal);
  }

  return async (key, { signal, logger }): Promise<ReconcileResult | undefined> => {
    const migration = sources.migrations.get(key);
    await removeOrphans(key, migration, { signal, logger });
    if (migration === undefined) {
      written.delete(key);
      forget(sources, key);
      return undefined;
    }
    if (migration.deleting) return undefined;
    if (isBehind(migration)) return { requeueAfterMs: OWN_WRITE_MS };
    const migrationLogger = logger.child({ projectId: migration.spec?.projectId, uid: migration.uid });
    const facts = await observe(sources, migration, signal);
    const decision = decide(facts);
    try {
      await execute(migration, decision, { signal, logger: migrationLogger });
    } catch (error) {
      // If the cache is stale because an event was lost, only a list will bring it.
      if (error instanceof ConflictError) await sources.migrations.refresh(signal);
      throw error;
    }
    if (decision.nextTime === undefined) return undefined;
    return { requeueAfterMs: Math.max(0, decision.nextTime - clock.now()) };
  };

  /**
   * Objects that name this EdgeMigration but another uid: those of a deleted one, with or without a successor. Its
   * finalizers may take long; its pods stop at once.
   */
  async function removeOrphans(
    key: string,
    migration: EdgeMigration | undefined,
    { signal, logger }: ReconcileContext,
  ) {
    const { namespace = '', name } = parseObjectKey(key);
    const orphans = [...sources.jobs.byIndex(BY_KEY, key), ...sources.configMaps.byIndex(BY_KEY, key)].filter(
      ({ migrationUid }) => migrationUid !== migration?.uid || migration.deleting,
    );
    if (orphans.length > 0) await sweep(context, { namespace, name }, orphans, logger, signal);
  }
}

/** What was remembered of an EdgeMigration goes with it; for another one of its project it is found again. */
function forget(sources: Sources, key: string): void {
  const projectId = projectOf({ name: parseObjectKey(key).name, spec: undefined });
  sources.handover?.runner.forget(key);
  for (const times of [sources.idleTimes, sources.missingTimes, sources.strandedTimes]) times.forget(key);
  sources.marks?.forget(projectId);
  sources.readiness?.forget(projectId);
}
