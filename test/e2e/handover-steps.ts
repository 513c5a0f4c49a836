import { execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { JOBS } from '@edge-migration/kubernetes/resources.ts';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { expect } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type StandInState, stateOf } from '../handover/stand-in.ts';
import type { HandoverTarget } from './target.ts';

const MINUTE = 60_000;

/** Steps and checks of the hand-over tests. */
export function createHandoverSteps(target: HandoverTarget) {
  return {
    /** Adds a project to Core, and makes it the only one in the stand-in's database. */
    async addProject(id: number, changes: Partial<StandInState> = {}): Promise<number> {
      await insertRows(target.databaseUrl, {
        projects_project: [{ id }],
        environments_environment: [{ id, project_id: id, api_key: `key-${id}`, name: 'Production' }],
        environments_environmentapikey: [
          {
            id,
            key: `ser.${id}`,
            name: 'server',
            environment_id: id,
            created_at: '2020-01-01T00:00:00Z',
            active: true,
          },
        ],
        environments_identity: [{ id, identifier: `person-${id}`, environment_id: id }],
      });
      await target.writeState(stateOf(id, changes));
      return id;
    },
    async setState(changes: { [K in keyof StandInState]?: StandInState[K] | undefined }): Promise<void> {
      await target.writeState({ ...(await target.readState()), ...changes } as StandInState);
    },
    /** The changes that Flagsmith's code would make in Core itself, which the stand-in cannot reach. */
    async mirror(projectId: number): Promise<void> {
      const { project } = await target.readState();
      await execute(
        target.databaseUrl,
        `UPDATE projects_project SET enable_dynamo_db = ${project.enable_dynamo_db},
           identity_overrides_v2_migration_status = '${project.edge_v2_migration_status}' WHERE id = ${projectId}`,
      );
    },
    /** The condition at the time of that status; a moment later it may differ. */
    edgeReady(projectId: number, message: RegExp) {
      const find = async () => {
        const conditions = (await target.migration(projectId))?.status.conditions;
        const condition = recordedCondition(conditions, 'EdgeReady');
        if (condition !== undefined && message.test(condition.message)) return condition;
        throw new Error(`it says ${condition?.reason}: ${condition?.message}`);
      };
      return waitFor(find, { for: `EdgeReady to say ${message}`, timeoutMs: 4 * MINUTE });
    },
    /** The project's item in the table that Flagsmith's dashboard uses. */
    async findMark(projectId: number) {
      const items = await target.tables.scan(target.tables.settings.projectMetadataTable);
      return items.find(({ id }) => id?.N === String(projectId));
    },
    /** The project's Job whose name has this suffix. */
    async findJob(projectId: number, end: string) {
      const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
      const { items } = await target.client.list(JOBS, { labelSelector });
      const job = items.find(({ metadata }) => metadata.name.endsWith(end)) ?? expect.fail(`no Job ${end}`);
      return job as KubernetesObject & { readonly status: { readonly completionTime: string } };
    },
  };
}
