import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { Installation } from '../e2e/installation.ts';

/** CPU seconds of all copy pods of a migration, as logged by each at its end. */
export async function readWorkerCpuSeconds(
  { cluster, namespace }: Installation,
  { uid }: EdgeMigration,
): Promise<number> {
  const selector = `edge.flagsmith.com/migration-uid=${uid},edge.flagsmith.com/component=copy`;
  const names = await cluster.kubectl([
    'get',
    'pods',
    '-n',
    namespace,
    '-l',
    selector,
    '-o',
    'jsonpath={.items[*].metadata.name}',
  ]);
  let seconds = 0;
  for (const pod of names.split(' ').filter((name) => name !== '')) {
    const log = await cluster.node.logs(namespace, pod, 'worker');
    for (const line of log.split('\n')) seconds += Number(/"cpuSeconds":([\d.]+)/.exec(line)?.[1] ?? 0);
  }
  return seconds;
}
