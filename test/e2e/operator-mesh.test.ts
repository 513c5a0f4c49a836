import { EVENTS, JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { createFastClock, runOperatorHere } from './operator-run.ts';
import { isRetired, useWorld } from './operator-setup.ts';
import { NAMESPACE } from './operator-world.ts';

const MINUTE = 60_000;
/** Half a minute takes six seconds at this speed. */
const FACTOR = 5;
/** Time enough to renew on a busy machine. */
const SETTINGS = {
  EDGE_MIGRATION_LEASE_DURATION_SECONDS: '60',
  EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '40',
  EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '4',
};
const setup = useWorld();
afterEach(() => setup.pods.inject(undefined));

describe('a mesh that injects a proxy into the workers’ pods', { timeout: 15 * MINUTE }, () => {
  test('does not keep a copy from completing: the checkpoints count, and Job and pods are removed', async () => {
    const { world, pods, kubeconfig } = setup;
    await using _operator = runOperatorHere(world, { kubeconfig, clock: createFastClock(FACTOR), settings: SETTINGS });
    pods.inject('istio-proxy');
    const [projectId = 0] = await world.addProjects(1);
    await world.create(projectId);
    await world.condition([projectId], 'Copied', 'True');
    await world.condition([projectId], 'Degraded', 'False');
    await waitFor(() => isRetired(world, projectId), { for: 'what is no longer needed to go', timeoutMs: 3 * MINUTE });
    const events = await world.client.list(EVENTS, { namespace: NAMESPACE, fieldSelector: 'reason=PodsNotEnding' });
    expect(events.items.map((event) => event['message'])).toEqual([
      expect.stringMatching(/^the workers of Job \S+ have ended, .* istio-proxy of pod \S+ keeps running/),
    ]);
    const { objects } = await world.describe(projectId);
    const left = new Set(objects.map(({ kind }) => kind));
    expect([JOBS.kind, PODS.kind].filter((kind) => left.has(kind))).toEqual([]);
    const { items } = await world.client.list(PODS, { namespace: NAMESPACE });
    expect(items).toEqual([]);
  });
});
