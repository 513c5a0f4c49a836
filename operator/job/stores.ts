import type { Stores } from '@edge-migration/identity/converge.ts';
import { type CoreSettings, openCore } from '@edge-migration/identity/core/core.ts';
import type { CoreProject } from '@edge-migration/identity/core/projects.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { type EdgeSettings, type EdgeStore, openEdge } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type RetryContext, WorkerError, withRetry } from './failure.ts';

/** One for the page that is read ahead, the others for conflicts. Core's API needs connections more urgently. */
const MAX_CONNECTIONS = 3;

/** Both stores, checked to be as expected. */
export interface WorkerStores extends Stores, AsyncDisposable {
  readonly project: CoreProject;
  readonly tables: Awaited<ReturnType<EdgeStore['describe']>>;
}

/** Limits on a worker's use of Edge. */
export interface Limits {
  /** Write units per second. */
  readonly maxWriteUnitsPerSecond: number;
  /** Read units per second; unlimited if omitted. */
  readonly maxReadUnitsPerSecond?: number;
}

export interface StoreSettings extends CoreSettings, EdgeSettings, Limits {
  readonly projectId: number;
}

/** Extracts the limits from the settings. */
export const limitsOf = ({ maxWriteUnitsPerSecond, maxReadUnitsPerSecond }: Limits): Limits => ({
  maxWriteUnitsPerSecond,
  ...(maxReadUnitsPerSecond !== undefined && { maxReadUnitsPerSecond }),
});

/**
 * Opens Core and Edge, and reads the facts that a worker needs about them.
 *
 * @throws errors of the stores; WorkerError `misconfigured` if Core has no such project
 */
export async function openWorkerStores(settings: StoreSettings, retryContext: RetryContext): Promise<WorkerStores> {
  const { clock, signal } = retryContext;
  const core = openCore(settings, { maxConnections: MAX_CONNECTIONS, applicationName: 'edge-migration-worker', clock });
  const edge = openEdgeTables(settings, clock, retryContext.retryBudgetMs);
  const close = async () => {
    edge.close();
    await core.close();
  };
  try {
    const project = await withRetry(retryContext, () => core.projects.get(settings.projectId, signal));
    const tables = await edge.describe({ signal });
    return {
      core,
      edge,
      clock,
      tables,
      project: checkProject(project, settings.projectId),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function openEdgeTables(settings: StoreSettings, clock: Clock, retryBudgetMs: number): EdgeStore {
  const { maxWriteUnitsPerSecond, maxReadUnitsPerSecond: maximum } = settings;
  const budget = createWriteBudget({ clock, maximum: maxWriteUnitsPerSecond });
  const readBudget = maximum === undefined ? undefined : createWriteBudget({ clock, maximum });
  return openEdge(settings, { clock, budget, readBudget, retryBudgetMs });
}

function checkProject(project: CoreProject | undefined, projectId: number): CoreProject {
  if (project !== undefined && !project.deleted) return project;
  const state = project === undefined ? 'does not exist' : 'was deleted';
  throw new WorkerError('misconfigured', `Project ${projectId} ${state} in Core: check the id and the database`);
}
