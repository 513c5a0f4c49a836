import { LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import { readPodLog } from '@edge-migration/kubernetes/pod-log.ts';
import { PODS } from '@edge-migration/kubernetes/resources.ts';
import { isAbout } from '@edge-migration/operator/render/log-line.ts';
import { printable } from '@edge-migration/operator/render/printable.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { z } from 'zod';
import type { Context } from '../context.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import { type Selected, type Selection, select } from '../selection.ts';

export interface LogOptions {
  readonly operatorNamespace: string;
  /** The operator's log lines about the migration instead of its pods' logs. */
  readonly operator: boolean;
  readonly follow: boolean;
  readonly tailLines?: number | undefined;
  readonly sinceSeconds?: number | undefined;
}

/** The labels of the chart's pods. */
export const OPERATOR_PODS = 'app.kubernetes.io/name=edge-migration,app.kubernetes.io/component=operator';

const podSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.object({ containers: z.array(z.object({ name: z.string() })).min(1) }),
});

/** Prints the logs of one migration's pods, each line prefixed with its pod's name. */
export async function logs(context: Context, selection: Selection, options: LogOptions): Promise<ExitCode> {
  const { cluster, terminal, signal } = context;
  const [selected] = await select(cluster, selection, signal);
  const { migration } = selected!;
  const labelSelector = options.operator ? OPERATOR_PODS : `${LABELS.migrationUid}=${migration.uid}`;
  const namespace = options.operatorNamespace;
  const { items } = await cluster.client.list(PODS, { namespace, labelSelector }, { signal });
  if (items.length === 0) {
    const what = options.operator ? 'pods of the operator' : `pods of ${migration.name}, whose Job may be over`;
    throw new CommandError(EXIT.notFound, `no ${what}, in namespace ${namespace} (--operator-namespace)`);
  }
  const pods = items.map((item) => podSchema.parse(item));
  const results = await Promise.all(pods.map((pod) => printLog(context, pod, selected!, options)));
  for (const problem of results.filter((result) => result !== undefined)) terminal.warn(printable(problem));
  return results.every((result) => result === undefined) ? EXIT.done : EXIT.failed;
}

/** @returns why the log of this pod could not be read completely, which does not prevent reading the others */
async function printLog(
  { cluster, terminal, signal }: Context,
  { metadata, spec }: z.infer<typeof podSchema>,
  { migration }: Selected,
  { operator, follow, tailLines, sinceSeconds }: LogOptions,
): Promise<string | undefined> {
  const { name: pod, namespace } = metadata;
  // The first container is the product's; others are injected.
  const query = { namespace, pod, container: spec.containers[0]!.name, follow, tailLines, sinceSeconds };
  try {
    for await (const line of readPodLog(cluster.kubeConfig, query, signal)) {
      if (!operator || isAbout(line, migration)) terminal.write(`${pod} ${printable(line)}\n`);
    }
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return errorMessage(error);
  }
}
