import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { waitFor } from './wait.ts';

/** Everything that is fetched or built once lies here, keyed by version; git-ignored and safe to delete. */
export const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));

/** Something fetched or built once. */
export interface Artifact {
  /** As it reads in progress lines: "kube-apiserver v1.34.4". */
  title: string;
  /** File or folder; its name has the versions, so that a new version is another artifact. */
  path: string;
  /** Writes it to `to`, which lies beside `path` and does not exist yet. */
  build(to: string, signal?: AbortSignal): Promise<void>;
}

/** A program that set-up needs is not installed; the message says which and what for. */
export class MissingToolError extends Error {
  override readonly name = 'MissingToolError';
}

/** @throws MissingToolError when `tool` is not on the PATH; `purpose` completes "… is needed to …" */
export function requireTool(tool: string, purpose: string): void {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  if (!folders.some((folder) => isExecutable(join(folder, tool)))) {
    throw new MissingToolError(`"${tool}" was not found on the PATH: it is needed to ${purpose}`);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Fetches or builds those artifacts that are not there yet, one after the other, with progress on standard error. */
export async function provide(artifacts: readonly Artifact[], signal?: AbortSignal): Promise<void> {
  const missing = artifacts.filter((artifact) => !existsSync(artifact.path));
  for (const [index, artifact] of missing.entries()) {
    await provideOne(artifact, `[${index + 1}/${missing.length}] ${artifact.title}`, signal);
  }
}

/** How often a long step says that it is still at work. */
const REPORT_EVERY_MS = 15_000;

/** One builder per artifact on this machine; others wait for it and take over should it die. */
async function provideOne(artifact: Artifact, title: string, signal?: AbortSignal): Promise<void> {
  await mkdir(dirname(artifact.path), { recursive: true });
  const lock = `${artifact.path}.lock`;
  const start = systemClock.monotonic();
  const report = (text: string) =>
    process.stderr.write(`${title}: ${text} (${Math.round((systemClock.monotonic() - start) / 1000)} s)\n`);
  let state = 'waiting for another process to provide it';
  const reporter = setInterval(() => report(state), REPORT_EVERY_MS);
  try {
    await waitFor(() => existsSync(artifact.path) || acquire(lock), {
      for: artifact.title,
      timeoutMs: Number.POSITIVE_INFINITY,
      intervalMs: 200,
      ...(signal === undefined ? {} : { signal }),
    });
    if (existsSync(artifact.path)) return;
    state = 'still at work';
    report('fetching or building, once');
    const draft = `${artifact.path}.${process.pid}`;
    try {
      await artifact.build(draft, signal);
      await rename(draft, artifact.path);
    } finally {
      rmSync(draft, { recursive: true, force: true });
      rmSync(lock, { force: true });
    }
    report('done');
  } finally {
    clearInterval(reporter);
  }
}

/**
 * Takes the lock file, from a dead owner too. Should two take it from the same dead owner, both build, which costs
 * time and harms nothing: artifacts appear by rename.
 */
function acquire(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = Number.parseInt(readFileSync(lock, 'utf8'), 10);
  if (Number.isInteger(owner) && !isAlive(owner)) rmSync(lock, { force: true });
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
