import process from 'node:process';
import { captureConfiguration } from '@edge-migration/replay-sidecar/capture/config.ts';
import { createSidecar } from '@edge-migration/replay-sidecar/capture/sidecar.ts';
import manifest from '@edge-migration/replay-sidecar/package.json' with { type: 'json' };
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { redact } from '@edge-migration/runtime/configuration.ts';
import { createNonBlockingLogger } from '@edge-migration/runtime/logger.ts';
import { readConfiguration } from '@edge-migration/runtime/process.ts';

/** The capture sidecar's process. Exit codes: 0 asked to stop, 1 failed, 64 wrong configuration. */
let droppedLines = 0;
const logger = createNonBlockingLogger('capture-sidecar', 'info', () => {
  droppedLines += 1;
});
const configuration = readConfiguration(captureConfiguration, (error) =>
  logger.fatal({ error }, 'the sidecar cannot start'),
);
logger.level = configuration.logLevel;
logger.info({ configuration: redact(captureConfiguration, configuration), release: manifest.version }, 'starting');

const sidecar = createSidecar({
  configuration,
  release: manifest.version,
  clock: systemClock,
  logger,
  droppedLines: () => droppedLines,
});

// The API must not go down with the sidecar: an uncaught error affects one request at most.
process.on('uncaughtException', sidecar.survive);
process.on('unhandledRejection', sidecar.survive);

/** For the last log lines, which another thread writes. */
const LAST_LINES_MS = 100;

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    sidecar.stop().then(
      // An orderly exit waits for threads that wait for the disk.
      (isClosed) => (isClosed ? process.exit(0) : setTimeout(kill, LAST_LINES_MS)),
      (error: unknown) => exit(error),
    );
  });
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}

function exit(error: unknown): void {
  logger.fatal({ err: error }, 'the sidecar cannot go on');
  process.exit(1);
}

await sidecar.start().catch(exit);
