#!/usr/bin/env node
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { runProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

/** `kubectl edge-migration`. */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(name)));
// `… | head` closes the pipe early, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2), {
  terminal: processTerminal(),
  clock: systemClock,
  signal: stop.signal,
});
