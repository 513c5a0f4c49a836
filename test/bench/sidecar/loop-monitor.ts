/**
 * Imported by a process that is measured: on SIGUSR2 it writes how long its event loop was held at most, in
 * milliseconds, since the last time it was asked.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MILLIS = 1;
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });
histogram.enable();
process.on('SIGUSR2', () => {
  const millis = histogram.max / 1e6 - RESOLUTION_MILLIS;
  histogram.reset();
  writeFileSync(process.env['BENCH_LOOP_FILE'] ?? '/dev/null', JSON.stringify({ millis }));
});
