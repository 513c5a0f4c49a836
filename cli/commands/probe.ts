import { randomUUID } from 'node:crypto';
import type { Resource } from '@edge-migration/kubernetes/client.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { readPodLog } from '@edge-migration/kubernetes/pod-log.ts';
import { JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import { checkOutcome } from '@edge-migration/operator/installation/report.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { PROBE_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { z } from 'zod';
import type { Context } from '../context.ts';
import type { ProbeFact } from '../installation.ts';
import { buildProbe } from '../probe.ts';
import { OPERATOR_PODS } from './logs.ts';

const DEPLOYMENTS: Resource = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};

/** Longer than the Job's own deadline. */
const TIMEOUT_MS = 100_000;

const failed = (problem: string): ProbeFact => ({ kind: 'failed', problem });

/** Runs the check of `helm test` as a Job in the operator's namespace, reads its output, and removes it. */
export async function runProbe(context: Context, namespace: string): Promise<ProbeFact> {
  const { client } = context.cluster;
  try {
    const { items } = await client.list(DEPLOYMENTS, { namespace, labelSelector: OPERATOR_PODS }, context);
    const [operator] = items;
    if (operator === undefined)
      return failed(`the check was not run: namespace ${namespace} has no Deployment of the operator`);
    const name = `edge-migration-doctor-${randomUUID().slice(0, 8)}`;
    await client.create(JOBS, buildProbe(operator, namespace, name), context);
    try {
      return await readOutcomes(context, namespace, name);
    } finally {
      // Also after Ctrl-C. If this fails, the Job is removed by its own time to live.
      await client.delete(JOBS, { namespace, name }, { propagationPolicy: 'Background' }).catch(() => undefined);
    }
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof ApiError) && !(error instanceof z.ZodError)) throw error;
    return failed(`the check could not be run: ${errorMessage(error)}`);
  }
}

const podSchema = z.object({
  metadata: z.object({ name: z.string() }),
  status: z
    .object({
      phase: z.string().optional(),
      containerStatuses: z
        .array(
          z.object({
            state: z
              .object({
                waiting: z.object({ reason: z.string().optional(), message: z.string().optional() }).optional(),
              })
              .prefault({}),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

async function readOutcomes(context: Context, namespace: string, job: string): Promise<ProbeFact> {
  const { cluster, clock, signal } = context;
  const started = clock.monotonic();
  let last = 'no pod was made for it: kubectl describe says why of a Job that is refused';
  while (clock.monotonic() - started < TIMEOUT_MS) {
    const { items } = await cluster.client.list(PODS, { namespace, labelSelector: `job-name=${job}` }, { signal });
    const [pod] = items.map((item) => podSchema.parse(item));
    const { phase, containerStatuses = [] } = pod?.status ?? {};
    if (pod !== undefined && (phase === 'Succeeded' || phase === 'Failed'))
      return readLog(context, namespace, pod.metadata.name);
    if (pod !== undefined) {
      const waiting = containerStatuses.find(({ state }) => state.waiting !== undefined)?.state.waiting;
      last = `its pod is ${phase ?? 'not known'}${waiting ? `: ${waiting.reason ?? ''} ${waiting.message ?? ''}`.trimEnd() : ''}`;
    }
    await clock.sleep(PROBE_POLL_MS, signal);
  }
  return failed(`the check did not end within ${TIMEOUT_MS / 1000} s: ${last}`);
}

const saidSchema = z.object({ outcomes: z.array(checkOutcome).max(50) });
/** Lines that Node may add are short. */
const MOST_LINES = 20;

async function readLog({ cluster, signal }: Context, namespace: string, pod: string): Promise<ProbeFact> {
  let last = 'nothing';
  const query = { namespace, pod, tailLines: MOST_LINES };
  for await (const line of readPodLog(cluster.kubeConfig, query, signal)) {
    const said = saidSchema.safeParse(parse(line)).data;
    if (said !== undefined) return { kind: 'done', outcomes: said.outcomes };
    if (line.trim() !== '') last = line.slice(0, 300);
  }
  return failed(`the check ended without an outcome; its log ends with: ${last}`);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
