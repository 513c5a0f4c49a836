import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { PODS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { API_PODS_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { z } from 'zod';
import { nameRevision } from './job.ts';

/** The Core API's pods; a hand-over takes its image and environment from one of them. */
export interface ApiPods {
  /** A ready one, if there is one; undefined if there is none at all. */
  find(signal: AbortSignal): Promise<KubernetesObject | undefined>;
  /** Whether the pods have changed since one of this revision was found; with undefined, since none was found. */
  haveChanged(revision: string | undefined, signal: AbortSignal): Promise<boolean>;
}

const podSchema = z.object({
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) })
    .prefault({}),
});

export function createApiPods(
  client: Pick<KubernetesClient, 'list'>,
  { namespace, selector, clock }: { namespace: string; selector: string; clock: Pick<Clock, 'monotonic'> },
): ApiPods {
  let seen: { revisions: readonly string[]; until: number } | undefined;

  async function list(signal: AbortSignal): Promise<KubernetesObject[]> {
    const { items } = await client.list(PODS, { namespace, labelSelector: selector }, { signal });
    const living = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    seen = { revisions: living.map(nameRevision), until: clock.monotonic() + API_PODS_POLL_MS };
    return living;
  }

  async function listRevisions(signal: AbortSignal): Promise<readonly string[]> {
    if (seen !== undefined && clock.monotonic() < seen.until) return seen.revisions;
    return (await list(signal)).map(nameRevision);
  }

  return {
    async find(signal) {
      const living = await list(signal);
      return living.find(isReady) ?? living[0];
    },
    async haveChanged(revision, signal) {
      const revisions = await listRevisions(signal);
      if (revisions.length === 0) return false;
      // During a rollout pods of both revisions exist: it ends with the former ones.
      return revision === undefined || !revisions.includes(revision);
    },
  };
}

const isReady = (pod: KubernetesObject) =>
  podSchema.parse(pod).status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
