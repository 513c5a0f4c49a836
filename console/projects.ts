import { type EdgeMigration, nameOf } from '@edge-migration/contract/edge-migration/api.ts';
import type { Reflector } from '@edge-migration/kubernetes/reflector.ts';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import type { Access } from './access.ts';
import type { Caller } from './caller.ts';
import { ProblemError } from './problem.ts';
import type { ProjectMigration } from './summary.ts';

export const BY_PROJECT = 'project';

export type ProjectCache = Pick<Reflector<ProjectMigration>, 'get' | 'list' | 'byIndex' | 'listedAge' | 'subscribe'>;

/** The projects of the cache, visible only to callers who may read them. Methods throw ApiError and ProblemError. */
export interface VisibleProjects {
  /** Undefined if there is none that the caller may read. */
  find(caller: Caller, projectId: number, namespace?: string): Promise<ProjectMigration | undefined>;
  /** @throws ProblemError (not_found) */
  get(caller: Caller, projectId: number, namespace?: string): Promise<ProjectMigration>;
  /** All projects that the caller may list. */
  list(caller: Caller): Promise<ProjectMigration[]>;
}

export function createProjects(cache: ProjectCache, access: Access): VisibleProjects {
  function requireSynced() {
    if (cache.listedAge() < Number.POSITIVE_INFINITY) return;
    throw new ProblemError(
      'unavailable',
      'the EdgeMigrations are not read from Kubernetes yet: try again in a moment',
      {
        headers: { 'retry-after': '2' },
      },
    );
  }

  const projects: VisibleProjects = {
    async find(caller, projectId, namespace) {
      requireSynced();
      const candidates = cache
        .byIndex(BY_PROJECT, String(projectId))
        .filter(({ migration }) => namespace === undefined || migration.namespace === namespace)
        .toSorted((a, b) => compare(a.migration, b.migration));
      for (const candidate of candidates) {
        const { namespace, name } = candidate.migration;
        if (await access.may(caller, { verb: 'get', namespace, name })) return candidate;
      }
      return undefined;
    },

    async get(caller, projectId, namespace) {
      const project = await projects.find(caller, projectId, namespace);
      if (project !== undefined) return project;
      const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
      throw new ProblemError('not_found', `there is no EdgeMigration ${nameOf(projectId)}${where} that you may read`);
    },

    async list(caller) {
      requireSynced();
      const all = cache.list();
      const namespaces = await access.namespaces(
        caller,
        'list',
        all.map(({ migration }) => migration.namespace),
      );
      return all.filter(({ migration }) => namespaces.has(migration.namespace));
    },
  };
  return projects;
}

/**
 * The active EdgeMigration of a project, if there are several: the others are duplicates, and the oldest comes first.
 */
function compare(a: EdgeMigration, b: EdgeMigration): number {
  const rank = (migration: EdgeMigration) =>
    Number(recordedCondition(migration.status.conditions, 'Accepted')?.reason === 'Duplicate');
  return rank(a) - rank(b) || (a.creationTime < b.creationTime ? -1 : 1);
}
