import type { MigrationView } from '../admit/migrations.ts';

/** The project's EdgeMigration changed: its work under way must not go on. */
export class MigrationStoppedError extends Error {
  override readonly name = 'MigrationStoppedError';
}

const stopped = () => new MigrationStoppedError('the EdgeMigration was stopped');

export interface ProjectAborts {
  /** Aborts when the project's EdgeMigration says that nothing more may be applied, and when the process ends. */
  of(projectId: number): AbortSignal;
  close(): void;
  /** Number of projects remembered. */
  readonly size: number;
}

export function createProjectAborts(
  migrations: Pick<MigrationView, 'subscribe' | 'judge'>,
  signal: AbortSignal,
): ProjectAborts {
  const controllers = new Map<number, AbortController>();

  const unsubscribe = migrations.subscribe((projectId) => {
    const controller = controllers.get(projectId);
    // As if observed long ago: the deadline is judged per event.
    if (controller === undefined || migrations.judge(projectId, 0).kind === 'apply') return;
    controllers.delete(projectId);
    controller.abort(stopped());
  });
  const stopAll = () => {
    for (const controller of controllers.values()) controller.abort(signal.reason);
  };
  signal.addEventListener('abort', stopAll, { once: true });

  return {
    get size() {
      return controllers.size;
    },
    of(projectId) {
      if (signal.aborted) return signal;
      // It has changed after the events were judged: a later abort would never come.
      if (migrations.judge(projectId, 0).kind !== 'apply') return AbortSignal.abort(stopped());
      let controller = controllers.get(projectId);
      if (controller === undefined) {
        controller = new AbortController();
        controllers.set(projectId, controller);
      }
      return controller.signal;
    },
    close() {
      unsubscribe();
      signal.removeEventListener('abort', stopAll);
    },
  };
}
