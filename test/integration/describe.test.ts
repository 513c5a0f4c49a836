import { PODS } from '@edge-migration/kubernetes/resources.ts';
import { expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { runOperatorHere } from '../e2e/operator-run.ts';
import { isRetired, useWorld } from '../e2e/operator-setup.ts';
import { NAMESPACE } from '../e2e/operator-world.ts';

const MINUTE = 60_000;
const setup = useWorld();

/** The pod cannot start, because its image does not exist. */
async function breakPod(projectId: number): Promise<void> {
  const { client } = setup.world;
  const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
  const [pod] = (await client.list(PODS, { namespace: NAMESPACE, labelSelector })).items;
  const state = { waiting: { reason: 'ErrImagePull', message: 'edge-migration:0.1.0 not found' } };
  const container = { name: 'worker', ready: false, restartCount: 0, image: '', imageID: '', state };
  const reference = { namespace: NAMESPACE, name: pod?.metadata.name ?? '' };
  await client.patch(PODS, reference, { status: { containerStatuses: [container] } }, { subresource: 'status' });
}

test('kubectl describe tells the history of a migration, and kubectl get its current state', {
  timeout: 8 * MINUTE,
}, async () => {
  const { world, pods, kubeconfig } = setup;
  const { kubectl } = world.controlPlane;
  const [projectId = 0] = await world.addProjects(1);
  const name = `project-${projectId}`;
  const set = (spec: object) =>
    kubectl(['patch', 'em', name, '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ spec })]);
  const isJob = async () => (await world.jobs(projectId)).length > 0;
  await using _operator = runOperatorHere(world, { kubeconfig });

  pods.hold(true);
  await world.create(projectId, { verify: { afterCopy: 'Never', atDeadline: 'Never' } });
  await waitFor(isJob, { for: 'the Job', timeoutMs: 4 * MINUTE });
  await waitFor(async () => (await world.migration(projectId))?.status.progress !== undefined, { for: 'progress' });
  const table = await kubectl(['get', 'em', '-n', NAMESPACE]);
  await breakPod(projectId);
  await world.condition([projectId], 'Degraded', 'True');
  const wide = await kubectl(['get', 'em', '-n', NAMESPACE, '-o', 'wide']);
  await set({ suspend: true });
  await world.condition([projectId], 'Suspended', 'True');
  await set({ suspend: false, retry: 'image-is-there' });
  await world.condition([projectId], 'Suspended', 'False');
  pods.hold(false);
  await waitFor(() => isRetired(world, projectId), { for: 'its end', timeoutMs: 4 * MINUTE });
  const describe = () => kubectl(['describe', 'em', name, '-n', NAMESPACE]);
  await waitFor(async () => /Normal +CaptureDisabled/.test(await describe()), {
    for: 'the last event',
    timeoutMs: 3 * MINUTE,
  });
  const described = await describe();

  expect(table.split('\n')[0]?.trim().split(/\s+/)).toEqual([
    'NAME',
    'PROJECT',
    'PHASE',
    'PROGRESS',
    'LAG',
    'DEADLINE',
    'AGE',
  ]);
  expect(table).toMatch(new RegExp(`${name} +${projectId} +Copying +0/\\d+ \\(0%\\)`));
  expect(wide).toMatch(/pod \S+: container worker: ErrImagePull edge-migration:0\.1\.0 not found/);
  expect(await kubectl(['get', 'em', '-n', NAMESPACE])).toMatch(/Succeeded +\d+\/\d+ \(100%\)/);

  const story = (described.split('\nEvents:\n')[1] ?? '').split('\n').map((line) => line.trim().split(/\s+/));
  const told = story
    .filter(([type]) => type === 'Normal' || type === 'Warning')
    .map(([type, reason]) => `${type} ${reason}`);
  // The copy may have settled before the first check.
  expect(told.filter((line) => line !== 'Normal Settling')).toEqual([
    'Normal Accepted',
    'Normal Planning',
    'Normal Copying',
    'Warning PodNotStarting',
    'Normal Suspended',
    'Normal Requested',
    'Normal Recovered',
    'Normal NothingToRetry',
    // A repeated copy is not a new event, but increases the count of the earlier one.
    'Normal NotRequested',
    'Normal Complete',
    'Normal CaptureDisabled',
  ]);
  expect(described).toMatch(/TooLarge/);
});
