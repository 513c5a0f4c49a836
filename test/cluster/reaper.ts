import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepLogs } from './logs.ts';

/** One line on the reaper's pipe; `signal: null` and `remove: false` take an entry off its list. */
export type ReaperMessage =
  | { group: number; signal: NodeJS.Signals | null }
  | { folder: string; remove: boolean; logs?: string | undefined }
  | { container: string; remove: boolean };

let reaper: ChildProcess | undefined;

/** Has the process group killed if this process ends without doing so: by `signal` first, then SIGKILL. */
export function reapGroup(group: number, signal: NodeJS.Signals): void {
  tell({ group, signal });
}

/** The group is gone; its number may be reused from now on. */
export function forgetGroup(group: number): void {
  tell({ group, signal: null });
}

/** Has the Docker container removed if this process ends without doing so. */
export function reapContainer(container: string): void {
  tell({ container, remove: true });
}

/** The container is gone. */
export function forgetContainer(container: string): void {
  tell({ container, remove: false });
}

/** The folder for logs of deleted folders (`TEST_LOGS`, set by a test file's set-up); none in a demo. */
const logsFolder = () => process.env['TEST_LOGS'];

/** A new temporary folder, deleted by {@link removeFolder}, or by the reaper if this process ends first. */
export function createFolder(name: string): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), `edge-migration-${name}-`)));
  tell({ folder, remove: true, logs: logsFolder() });
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  const logs = logsFolder();
  if (logs !== undefined) keepLogs(folder, logs);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  tell({ folder, remove: false });
}

function tell(message: ReaperMessage): void {
  reaper ??= startReaper();
  // Pipes are written synchronously on Unix: an entry survives even a SIGKILL right after it.
  reaper.stdin?.write(`${JSON.stringify(message)}\n`);
}

function startReaper(): ChildProcess {
  const script = fileURLToPath(new URL('./reaper-process.ts', import.meta.url));
  // `detached`: a Ctrl-C in the terminal must not reach it.
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}
