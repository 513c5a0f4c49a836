import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  parseEdgeMigration,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { PODS } from '@edge-migration/kubernetes/resources.ts';
import { type WaitOptions, waitFor } from '../cluster/wait.ts';
import { CORE_API } from './replay-parts.ts';
import type { Target } from './target.ts';

/** Namespace of operator and Jobs in every installation of the tests. */
export const NAMESPACE = 'edge-migration';
const OPERATOR = 'edge-migration-operator';

interface PodStatus {
  podIP: string;
  conditions?: { type: string; status: string }[];
}

type Verbs = Pick<Target, 'apply' | 'migration' | 'condition' | 'delete'> & {
  /** The Core API's pods that are ready. */
  readyApiPods(): Promise<{ name: string; ip: string }[]>;
  /** Replaces the operator's pods, and waits until they are ready. */
  restartOperator(): Promise<void>;
};

/** Operations that are equal for every installation: by kubectl, as its users do, and by the product's own client. */
export function createVerbs(kubectl: Target['kubectl'], client: KubernetesClient): Verbs {
  const nameOf = (projectId: number) => `project-${projectId}`;

  async function migration(projectId: number, namespace = NAMESPACE): Promise<EdgeMigration | undefined> {
    const object = await client.get(EDGE_MIGRATIONS, { namespace, name: nameOf(projectId) });
    return object === undefined ? undefined : parseEdgeMigration(object);
  }

  return {
    migration,
    async apply(projectId, spec = {}, namespace = NAMESPACE) {
      const manifest = {
        apiVersion: 'edge.flagsmith.com/v1alpha1',
        kind: 'EdgeMigration',
        metadata: { name: nameOf(projectId), namespace },
        spec: { projectId, ...spec },
      };
      await kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
    },
    async condition(projectId, type, status, options: Partial<WaitOptions> = {}) {
      const check = async () => {
        const found = await migration(projectId);
        const condition = found?.status.conditions?.find((each) => each.type === type);
        if (condition?.status !== status) throw new Error(describeStatus(found));
        return found as EdgeMigration;
      };
      return waitFor(check, { for: `${type}=${status} of ${nameOf(projectId)}`, ...options });
    },
    async delete(projectId, namespace = NAMESPACE) {
      await kubectl(['delete', 'edgemigration', nameOf(projectId), '-n', namespace]);
    },
    async readyApiPods() {
      const { namespace, selector } = CORE_API;
      const { items } = await client.list(PODS, { namespace, labelSelector: selector });
      const isReady = ({ conditions }: PodStatus) =>
        conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
      return items
        .map(({ metadata, status }) => ({ name: metadata.name, status: status as PodStatus }))
        .filter(({ status }) => isReady(status))
        .map(({ name, status }) => ({ name, ip: status.podIP }));
    },
    async restartOperator() {
      await kubectl(['rollout', 'restart', `deployment/${OPERATOR}`, '-n', NAMESPACE]);
      await kubectl(['rollout', 'status', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--timeout=120s']);
    },
  };
}

/** A one-line summary, for a wait that times out. */
export function describeStatus(found: EdgeMigration | undefined): string {
  if (found === undefined) return 'there is no such EdgeMigration';
  const { phase = 'no phase', message = '', conditions = [], replay } = found.status;
  const states = conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`).join(' ');
  return `${phase}: ${message} [${states}] replay ${JSON.stringify(replay ?? {})}`;
}
