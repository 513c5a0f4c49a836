import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { forgetGroup, reapGroup } from './reaper.ts';
import { waitFor } from './wait.ts';

export interface ProcessSpec {
  /** Names the log file and appears in errors. */
  name: string;
  command: string;
  args?: readonly string[];
  /** The whole environment of the process; this process's own when left out. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** The log is appended to `<folder>/<name>.log`. */
  folder: string;
  uid?: number;
  gid?: number;
  /** The signal for an orderly shutdown. */
  stopSignal?: NodeJS.Signals;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running child process with its own process group. */
export interface ManagedProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Undefined while it runs. */
  readonly exit: Exit | undefined;
  /** Resolves when it has ended, for any reason. */
  readonly exited: Promise<Exit>;
  /** Sends a signal to the whole process group; false when it is already gone. */
  signal(signal: NodeJS.Signals): boolean;
  /** Ends it: the stop signal, then SIGKILL after `graceMs` (5 s). Returns when it is gone; safe to repeat. */
  stop(graceMs?: number): Promise<Exit>;
  /** The last lines of its log. */
  tail(lines?: number): Promise<string>;
}

/** A process could not be started, ended early or failed; the message has the last lines of its log. */
export class ProcessError extends Error {
  override readonly name = 'ProcessError';
}

/**
 * Starts a process in its own group, which ends with this process at the latest (see `reaper.ts`).
 *
 * @throws ProcessError when the command cannot be executed
 */
export async function startProcess(spec: ProcessSpec): Promise<ManagedProcess> {
  const logFile = join(spec.folder, `${spec.name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawnGroup(spec, log);
  closeSync(log);
  await spawned(child, spec);
  const pid = child.pid as number;
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      // Processes left in its group must not outlive the leader.
      signalGroup(pid, 'SIGKILL');
      forgetGroup(pid);
      exit = { code, signal };
      resolve(exit);
    });
  });
  return {
    name: spec.name,
    pid,
    logFile,
    exited,
    get exit() {
      return exit;
    },
    signal: (signal) => exit === undefined && signalGroup(pid, signal),
    async stop(graceMs = 5000) {
      if (exit === undefined) {
        // Only to the leader, like a container runtime; the rest of the group is killed when it has ended.
        process.kill(pid, spec.stopSignal ?? 'SIGTERM');
        signalGroup(pid, 'SIGCONT');
        const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs);
        await exited;
        clearTimeout(timer);
      }
      return await exited;
    },
    tail: (lines = 20) => tailFile(logFile, lines),
  };
}

function spawnGroup(spec: ProcessSpec, log: number): ChildProcess {
  const child = spawn(spec.command, spec.args ?? [], {
    cwd: spec.cwd ?? spec.folder,
    env: spec.env as NodeJS.ProcessEnv,
    stdio: ['ignore', log, log],
    detached: true,
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ...(spec.gid === undefined ? {} : { gid: spec.gid }),
  });
  if (child.pid !== undefined) reapGroup(child.pid, spec.stopSignal ?? 'SIGKILL');
  return child;
}

function spawned(child: ChildProcess, spec: ProcessSpec): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new ProcessError(`Cannot start ${spec.name} (${spec.command}): ${cause.message}`, { cause })),
    );
  });
}

function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/**
 * Waits until `ready` holds.
 *
 * @throws ProcessError with the end of the log when the process ends or the time is up first
 */
export async function waitUntilReady(
  managed: Pick<ManagedProcess, 'name' | 'exit' | 'tail'>,
  ready: () => Promise<boolean> | boolean,
  options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { timeoutMs = 180_000, signal } = options;
  try {
    await waitFor(() => managed.exit !== undefined || ready(), {
      for: `${managed.name} to be ready`,
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ProcessError(`${managed.name} did not become ready in ${timeoutMs} ms\n${await managed.tail()}`, {
      cause,
    });
  }
  if (managed.exit !== undefined) {
    throw new ProcessError(
      `${managed.name} ended ${describeExit(managed.exit)} before it was ready\n${await managed.tail()}`,
    );
  }
}

/**
 * Runs a command to its end.
 *
 * @throws ProcessError when it fails; the signal's reason when it is aborted (the command is killed)
 */
export async function runCommand(spec: ProcessSpec & { signal?: AbortSignal | undefined }): Promise<void> {
  spec.signal?.throwIfAborted();
  const managed = await startProcess(spec);
  const abort = () => void managed.stop();
  spec.signal?.addEventListener('abort', abort, { once: true });
  const exit = await managed.exited;
  spec.signal?.removeEventListener('abort', abort);
  spec.signal?.throwIfAborted();
  if (exit.code !== 0) {
    throw new ProcessError(`${spec.name} failed ${describeExit(exit)}\n${await managed.tail(40)}`);
  }
}

/** "with exit code 3" or "by SIGKILL". */
function describeExit(exit: Exit): string {
  return exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
}

/** A log line is rarely longer than this on average. */
const TAIL_BYTES_PER_LINE = 400;

async function tailFile(path: string, lines: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, lines * TAIL_BYTES_PER_LINE);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const text = buffer.toString('utf8', 0, bytesRead).trimEnd();
    return text.split('\n').slice(-lines).join('\n');
  } finally {
    await file.close();
  }
}
