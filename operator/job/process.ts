import { writeFileSync } from 'node:fs';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment, redact } from '@edge-migration/runtime/configuration.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { isStop, stopSignal } from '@edge-migration/runtime/stop.ts';
import type { z } from 'zod';
import { WORKER_EXIT } from '../edge-migration/objects.ts';
import type { PodConfiguration } from './configuration.ts';
import { exitCode } from './failure.ts';
import type { PodContext } from './pod.ts';

export interface WorkerProcess<Schema extends z.ZodObject & z.ZodType<PodConfiguration>> {
  /** Its name in logs, and for the API server. */
  readonly name: string;
  readonly usage: string;
  readonly configuration: Schema;
  /** The work without Kubernetes, requested by arguments; see standalone.ts. */
  standalone(args: readonly string[], signal: AbortSignal): Promise<void>;
  /** Loaded on demand: without Kubernetes, half of the process's memory is not needed. */
  pod(): Promise<(context: PodContext<Readonly<z.output<Schema>>>) => Promise<void>>;
}

/**
 * The process of a worker: a pod of a Job or, with arguments, a whole project without Kubernetes. Exit codes: 0 done,
 * 64 wrong configuration or permanently refused, 65 this range cannot be processed, 75 retry later, 143 stopped.
 */
export async function runWorkerProcess<Schema extends z.ZodObject & z.ZodType<PodConfiguration>>(
  worker: WorkerProcess<Schema>,
): Promise<never> {
  const { name, usage, configuration: schema, standalone, pod } = worker;
  const signal = stopSignal();
  const args = process.argv.slice(2);
  let lastWords: string | undefined;

  async function runInPod(): Promise<void> {
    const configuration = parseEnvironment(schema, process.env);
    lastWords = configuration.terminationMessageFile;
    const logger = createLogger(name, configuration.logLevel);
    logger.info({ configuration: redact(schema, { ...configuration }) }, 'starting');
    const [{ loadKubeConfig }, { createClient }, run] = await Promise.all([
      import('@edge-migration/kubernetes/kube-config.ts'),
      import('@edge-migration/kubernetes/client.ts'),
      pod(),
    ]);
    const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
    const client = createClient({ kubeConfig, clock: systemClock, userAgent: `edge-migration-${name}` });
    try {
      await run({ configuration, client, clock: systemClock, logger, signal });
    } finally {
      await client.close();
    }
  }

  try {
    if (args.includes('--help')) process.stdout.write(usage);
    else if (args.length > 0) await standalone(args, signal);
    else await runInPod();
  } catch (error) {
    const code = isStop(error, signal) ? WORKER_EXIT.stopped : exitCode(error);
    process.exitCode = code;
    // On standard error for the logs, and in the pod's status. Messages of our errors contain no personal data.
    const isUnexpected = code === WORKER_EXIT.rejected && error instanceof Error;
    process.stderr.write(`${isUnexpected ? error.stack : errorMessage(error)}\n`);
    if (lastWords !== undefined) writeFileSync(lastWords, errorMessage(error).slice(0, 4096));
  }
  // Pending operations that are no longer needed, such as a connection attempt, must not keep the process alive.
  process.exit();
}
