import process from 'node:process';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError, parseEnvironment, redact } from '@edge-migration/runtime/configuration.ts';
import { createNonBlockingLogger, type Logger } from '@edge-migration/runtime/logger.ts';
import { MISCONFIGURED } from '@edge-migration/runtime/process.ts';
import { type CaptureConfiguration, captureConfiguration } from './config.ts';
import { Sidecar } from './sidecar.ts';

/** For the last log lines, which another thread writes. */
const LAST_LINES_MS = 100;

/**
 * The sidecar's process, until a signal stops it. Unlike other services (`runServiceProcess`), it neither blocks on its log
 * nor ends because of an uncaught error. Exit codes: 0 asked to stop, 1 failed, 64 wrong configuration.
 */
export async function runSidecarProcess({ release }: { release: string }): Promise<void> {
  let droppedLines = 0;
  const logger = createNonBlockingLogger('capture-sidecar', 'info', () => {
    droppedLines += 1;
  });
  const configuration = readConfiguration(logger);
  logger.level = configuration.logLevel;
  logger.info({ configuration: redact(captureConfiguration, configuration), release }, 'starting');
  const sidecar = new Sidecar({
    configuration,
    release,
    clock: systemClock,
    logger,
    droppedLines: () => droppedLines,
  });
  // The API must not go down with the sidecar: an uncaught error affects one request at most.
  process.on('uncaughtException', (error) => sidecar.survive(error));
  process.on('unhandledRejection', (error) => sidecar.survive(error));
  stopOnSignal(sidecar, logger);
  await sidecar.start().catch((error: unknown) => fail(logger, error));
}

function readConfiguration(logger: Logger): CaptureConfiguration {
  try {
    return parseEnvironment(captureConfiguration, process.env);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    logger.fatal({ error: error.message }, 'the sidecar cannot start');
    return process.exit(MISCONFIGURED);
  }
}

function stopOnSignal(sidecar: Sidecar, logger: Logger): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      logger.info({ signal }, 'stopping');
      sidecar.stop().then(
        // An orderly exit waits for threads that wait for the disk.
        (isClosed) => (isClosed ? process.exit(0) : setTimeout(kill, LAST_LINES_MS)),
        (error: unknown) => fail(logger, error),
      );
    });
  }
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}

function fail(logger: Logger, error: unknown): void {
  logger.fatal({ err: error }, 'the sidecar cannot continue');
  process.exit(1);
}
