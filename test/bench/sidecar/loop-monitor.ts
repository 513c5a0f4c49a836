/**
 * Imported by a process that is measured: on SIGUSR2 it writes how much CPU time its main thread spent at most between
 * two rounds of the event loop, in milliseconds, since the last time it was asked.
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
