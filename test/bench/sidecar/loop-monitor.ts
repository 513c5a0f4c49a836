/**
 * Preloaded into a measured process: on SIGUSR2 it writes the most CPU time that its main thread spent between
 * two rounds of the event loop, in milliseconds, since the last such signal.
 */
import { writeFileSync } from 'node:fs';

let longest = 0;
let last = process.threadCpuUsage();

setInterval(() => {
  const now = process.threadCpuUsage();
  longest = Math.max(longest, now.user + now.system - last.user - last.system);
  last = now;
}, 1).unref();

process.on('SIGUSR2', () => {
  const millis = longest / 1000;
  longest = 0;
  writeFileSync(process.env['BENCH_LOOP_FILE'] ?? '/dev/null', JSON.stringify({ millis }));
});
