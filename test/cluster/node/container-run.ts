/** One run of a container's process, from its start to its exit. */
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type Exit, type ManagedProcess, startProcess } from '../processes.ts';
import { type Command, rewritePath } from './environment.ts';
import type { ContainerSpec } from './pod-spec.ts';
import { type Terminated, timestamp } from './pod-status.ts';
import { type ProbeReports, runProbes } from './probes.ts';

export interface RunOptions {
  spec: ContainerSpec;
  command: Command;
  podIP: string;
  /** The log is `<logFolder>/<number>.log`. */
  logFolder: string;
  number: number;
  /** Called when the process runs; its probe results are reported to the returned object. */
  onRunning(process: ManagedProcess, startedAt: string): ProbeReports;
}

const MESSAGE_BYTES = 4096;
const MESSAGE_LOG_LINES = 80;

/** Runs the process to its end; a command that cannot be executed ends at once, as with a container runtime. */
export async function runContainer(options: RunOptions): Promise<Terminated> {
  const { spec, command, podIP } = options;
  const messageFile = rewritePath(spec.terminationMessagePath, command.mounts);
  writeFileSync(messageFile, '');
  const startedAt = timestamp(systemClock.now());
  let process: ManagedProcess;
  try {
    process = await startProcess({ ...command, name: String(options.number), folder: options.logFolder });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { exitCode: 128, reason: 'StartError', message, startedAt, finishedAt: timestamp(systemClock.now()) };
  }
  const probing = new AbortController();
  const reports = options.onRunning(process, startedAt);
  const probes = runProbes({ container: spec, podIP, command }, reports, probing.signal);
  const exit = await process.exited;
  const finishedAt = timestamp(systemClock.now());
  probing.abort();
  await probes;
  const exitCode = containerExitCode(exit);
  const message = await terminationMessage(spec, messageFile, exitCode, process);
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  return { exitCode, reason, ...(message === '' ? {} : { message }), startedAt, finishedAt };
}

function containerExitCode({ code, signal }: Exit): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

async function terminationMessage(
  spec: ContainerSpec,
  file: string,
  exitCode: number,
  process: ManagedProcess,
): Promise<string> {
  const written = readFileSync(file).subarray(0, MESSAGE_BYTES).toString('utf8');
  if (written !== '' || exitCode === 0 || spec.terminationMessagePolicy === 'File') return written;
  return (await process.tail(MESSAGE_LOG_LINES)).slice(-MESSAGE_BYTES / 2);
}
