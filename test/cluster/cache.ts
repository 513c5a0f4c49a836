import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { estimateSecondsLeft, type Work } from './estimate.ts';
import { waitFor } from './wait.ts';

/** Everything that is fetched or built once is kept here, keyed by version; git-ignored and safe to delete. */
export const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));

/**
 * For the environment of our own programs: Node caches compiled code there, as in the image, which halves
 * a program's start-up work.
 */
export const COMPILED_CODE = { NODE_COMPILE_CACHE: join(CACHE, 'compiled') };

/** Something fetched or built once. */
export interface Artifact {
  /** Its name in progress lines: "kube-apiserver v1.34.4". */
  title: string;
  /** File or folder; its name contains the versions, so that a new version is another artifact. */
  path: string;
  /** Artifacts of one lane are made in sequence, as they share work; lanes run in parallel. */
  lane?: string;
  /** Rough CPU seconds of its build, in comparison with the others. */
  weight?: number;
  /** Writes it to `to`, which is in the same folder as `path` and does not exist yet. */
  build(to: string, signal?: AbortSignal): Promise<void>;
}

/** Progress of a call of {@link provide}. */
export interface Progress {
  readonly done: readonly string[];
  readonly running: readonly string[];
  readonly left: readonly string[];
  readonly secondsLeft: number;
}

export interface ProvideOptions {
  signal?: AbortSignal | undefined;
  /** Called at each change and every few seconds; by default lines on standard error. */
  report?: (progress: Progress) => void;
}

/** A program that set-up needs is not installed; the message names it and its purpose. */
export class MissingToolError extends Error {
  override readonly name = 'MissingToolError';
}

/** @throws MissingToolError when `tool` is not on the PATH; `purpose` completes "… is needed to …" */
export function requireTool(tool: string, purpose: string): void {
  if (findTool(tool) === undefined) {
    throw new MissingToolError(`"${tool}" was not found on the PATH: it is needed to ${purpose}`);
  }
}

/** The path of the first program of this name on the PATH. */
export function findTool(tool: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, tool)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** How often a long step reports that it is still running. */
const REPORT_EVERY_MS = 10_000;
const WEIGHT = 10;

interface Job {
  readonly artifact: Artifact;
  begun?: number;
  ended?: number;
}

/** Builds under way or queued in this process: other callers that need the same wait for it. */
const inHand = new Map<string, Promise<void>>();

/**
 * Fetches or builds the artifacts that do not exist yet.
 *
 * @throws the error of a build, after all lanes have ended
 */
export async function provide(artifacts: readonly Artifact[], options: ProvideOptions = {}): Promise<void> {
  const missing = artifacts.filter(({ path }) => !existsSync(path));
  const isOthers = missing.every(({ path }) => inHand.has(path));
  const { report = isOthers ? () => undefined : reportLines(), signal } = options;
  const start = systemClock.monotonic();
  const jobs = missing.map((artifact): Job => ({ artifact }));
  const tell = () => report(describeProgress(jobs, start));
  const failing = new AbortController();
  const signals = [failing.signal, ...(signal === undefined ? [] : [signal])];
  const making = startLanes(jobs, tell, AbortSignal.any(signals));
  for (const each of making) each.catch((error: unknown) => failing.abort(error));
  const reporter = setInterval(tell, REPORT_EVERY_MS);
  await Promise.allSettled(making);
  clearInterval(reporter);
  // A failure has aborted the others.
  failing.signal.throwIfAborted();
}

function startLanes(jobs: readonly Job[], tell: () => void, signal: AbortSignal): Promise<void>[] {
  async function run(job: Job, previous: Promise<void> | undefined) {
    await previous;
    job.begun = systemClock.monotonic();
    tell();
    await make(job.artifact, signal);
    job.ended = systemClock.monotonic();
    tell();
  }

  const last = new Map<string, Promise<void>>();
  return jobs.map((job) => {
    const { path, lane = '' } = job.artifact;
    const promise = inHand.get(path) ?? run(job, last.get(lane)).finally(() => inHand.delete(path));
    inHand.set(path, promise);
    last.set(lane, promise);
    return promise;
  });
}

function describeProgress(jobs: readonly Job[], start: number): Progress {
  const now = systemClock.monotonic();
  const titles = (matches: (job: Job) => boolean) => jobs.filter(matches).map(({ artifact }) => artifact.title);
  const works = jobs.map(({ artifact: { weight = WEIGHT }, begun, ended }): Work => {
    if (begun === undefined) return { weight };
    return ended === undefined
      ? { weight, running: (now - begun) / 1000 }
      : { weight, took: Math.max(0.001, (ended - begun) / 1000) };
  });
  return {
    done: titles(({ ended }) => ended !== undefined),
    running: titles(({ begun, ended }) => begun !== undefined && ended === undefined),
    left: titles(({ begun }) => begun === undefined),
    secondsLeft: estimateSecondsLeft(works, (now - start) / 1000),
  };
}

/** "about 3 min 20 s left, 2 of 6 built or fetched; now etcd; then kubectl": the end may be cut off. */
export function describeBuilds({ done, running, left, secondsLeft }: Progress): string {
  const all = done.length + running.length + left.length;
  const count = `${done.length} of ${all} built or fetched`;
  const parts = [
    done.length < all ? `about ${describeDuration(secondsLeft)} left, ${count}` : count,
    ...(running.length > 0 ? [`now ${running.join(', ')}`] : []),
    ...(left.length > 0 ? [`then ${left.join(', ')}`] : []),
  ];
  return parts.join('; ');
}

function describeDuration(seconds: number): string {
  const rounded = Math.max(5, Math.round(seconds / 5) * 5);
  const minutes = Math.floor(rounded / 60);
  return [minutes > 0 ? `${minutes} min` : '', rounded % 60 > 0 ? `${rounded % 60} s` : ''].filter(Boolean).join(' ');
}

function reportLines(): (progress: Progress) => void {
  let last = '';
  return (progress) => {
    const line = describeBuilds(progress);
    if (line !== last) process.stderr.write(`${line}\n`);
    last = line;
  };
}

/** One builder per artifact on this machine; others wait for it and take over if it dies. */
async function make(artifact: Artifact, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(artifact.path), { recursive: true });
  const lock = `${artifact.path}.lock`;
  await waitFor(() => existsSync(artifact.path) || acquire(lock), {
    for: artifact.title,
    timeoutMs: Number.POSITIVE_INFINITY,
    intervalMs: 200,
    signal,
  });
  if (existsSync(artifact.path)) return;
  const draft = `${artifact.path}.${process.pid}`;
  try {
    await artifact.build(draft, signal);
    await rename(draft, artifact.path);
  } finally {
    rmSync(draft, { recursive: true, force: true });
    rmSync(lock, { force: true });
  }
}

/**
 * Takes the lock file, even from a dead owner. If two take it from the same dead owner, both build, which costs
 * time but does no harm, because artifacts appear by rename.
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
