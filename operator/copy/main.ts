import { writeFileSync } from 'node:fs';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { parseEnvironment, redact } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { errorMessage } from '../kubernetes/errors.ts';
import { standaloneConfiguration, workerConfiguration } from './worker/configuration.ts';
import { exitCode, failureKind } from './worker/failure.ts';
import { parseArguments, runStandalone, USAGE } from './worker/standalone.ts';

/**
 * The copy's process: a pod's worker, or with arguments a whole project without Kubernetes. Exit codes: 0 done,
 * 64 wrong configuration or refused for good, 65 this range cannot be copied, 75 worth another try, 143 asked to stop.
 */
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));
const args = process.argv.slice(2);
let lastWords: string | undefined;

try {
  if (args.includes('--help')) process.stdout.write(USAGE);
  else if (args.length > 0) await standalone();
  else await worker();
} catch (error) {
  process.exitCode = stop.signal.aborted ? 143 : exitCode(error);
  sayLastWords(error);
}
// Whatever still waits for something that nobody needs any more, such as a connection attempt, must not keep us.
process.exit();

async function standalone(): Promise<void> {
  const options = parseArguments(args);
  const configuration = parseEnvironment(standaloneConfiguration, process.env);
  const summary = await runStandalone({
    arguments: options,
    configuration,
    clock: systemClock,
    logger: createLogger('copy', configuration.logLevel, process.stderr.fd),
    signal: stop.signal,
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  const text = Object.entries(summary).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : `${text.join('\n')}\n`);
}

async function worker(): Promise<void> {
  const configuration = parseEnvironment(workerConfiguration, process.env);
  lastWords = configuration.terminationMessageFile;
  const logger = createLogger('copy', configuration.logLevel);
  logger.info({ configuration: redact(workerConfiguration, configuration) }, 'starting');
  // Loaded here, because a copy without Kubernetes needs none of it, and it is half of the process's memory.
  const [{ loadKubeConfig }, { createClient }, { runWorker }] = await Promise.all([
    import('../kubernetes/kube-config.ts'),
    import('../kubernetes/client.ts'),
    import('./worker/worker.ts'),
  ]);
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-copy' });
  try {
    await runWorker({ configuration, client, clock: systemClock, logger, signal: stop.signal });
  } finally {
    await client.close();
  }
}

/** On standard error for whoever reads logs, and in the pod's status. Our errors' messages hold no personal data. */
function sayLastWords(error: unknown): void {
  const isUnexpected = !stop.signal.aborted && failureKind(error) === 'poisoned' && error instanceof Error;
  process.stderr.write(`${isUnexpected ? error.stack : errorMessage(error)}\n`);
  if (lastWords !== undefined) writeFileSync(lastWords, errorMessage(error).slice(0, 4096));
}
