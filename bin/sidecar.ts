import process from 'node:process';
import { captureConfiguration } from '@edge-migration/replay-sidecar/capture/config.ts';
import { createSidecar } from '@edge-migration/replay-sidecar/capture/sidecar.ts';
import manifest from '@edge-migration/replay-sidecar/package.json' with { type: 'json' };
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError, parseEnvironment, redact } from '@edge-migration/runtime/configuration.ts';
import { createNonBlockingLogger } from '@edge-migration/runtime/logger.ts';

/** The capture sidecar's process. Exit codes: 0 asked to stop, 1 failed, 64 wrong configuration. */
let droppedLines = 0;
const log = createNonBlockingLogger('capture-sidecar', 'info', () => {
  droppedLines += 1;
});
const configuration = readConfiguration();
log.level = configuration.logLevel;
log.info({ configuration: redact(captureConfiguration, configuration), release: manifest.version }, 'Starting');

const sidecar = createSidecar({
  configuration,
  release: manifest.version,
  clock: systemClock,
  log,
  droppedLines: () => droppedLines,
});

// The API must not go down with us: whatever nobody caught concerns one request at most.
process.on('uncaughtException', sidecar.survive);
process.on('unhandledRejection', sidecar.survive);

/** For what was logged last, which another thread writes. */
const LAST_LINES_MS = 100;

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'Stopping');
    sidecar.stop().then(
      // An orderly exit waits for threads that wait for the disk.
      (isClosed) => (isClosed ? process.exit(0) : setTimeout(kill, LAST_LINES_MS)),
      (error: unknown) => exit(error),
    );
  });
}

function readConfiguration() {
  try {
    return parseEnvironment(captureConfiguration, process.env);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    log.fatal({ error: error.message }, 'The sidecar cannot start');
    return process.exit(64);
  }
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}

function exit(error: unknown): void {
  log.fatal({ err: error }, 'The sidecar cannot go on');
  process.exit(1);
}

await sidecar.start().catch(exit);
