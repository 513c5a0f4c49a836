import type { Target } from '../e2e/target.ts';
import { run } from './commands.ts';

/**
 * Ends a container's process by SIGKILL, from its node: kind's nodes are containers of the local engine, and have
 * containerd's client. If the node cannot be entered, the pod is deleted without grace instead.
 */
export async function killContainer(
  kubectl: Target['kubectl'],
  namespace: string,
  pod: string,
  container: string,
): Promise<void> {
  const { spec, status } = JSON.parse(await kubectl(['get', 'pod', pod, '-n', namespace, '-o', 'json']));
  const statuses: { name: string; containerID?: string }[] = [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
  ];
  const id = statuses.find(({ name }) => name === container)?.containerID?.replace('containerd://', '');
  if (id === undefined) throw new Error(`Pod ${pod} has no container ${container} that ran`);
  try {
    const kill = ['ctr', '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', id];
    await run('docker', ['exec', spec.nodeName, ...kill]);
  } catch {
    await kubectl(['delete', 'pod', pod, '-n', namespace, '--grace-period=0', '--force']);
  }
}
