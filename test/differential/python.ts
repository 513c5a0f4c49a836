import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, provide } from '../cluster/cache.ts';
import { runCommand } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';

/** The releases of gunicorn, Django and REST framework that judge: those locked by Flagsmith, or the newest. */
export const RELEASES = ['pinned', 'newest'] as const;
export type Release = (typeof RELEASES)[number];

/** The newest first: new releases of Django need one. */
const INTERPRETERS = ['python3.14', 'python3.13', 'python3.12', 'python3'];

interface Interpreter {
  readonly command: string;
  /** `3.11` */
  readonly version: string;
}

let found: Interpreter | undefined;

/** A Python 3 on this machine that can create virtual environments; undefined if there is none. */
export function findPython(): Interpreter | undefined {
  found ??= INTERPRETERS.map(probe).find((interpreter) => interpreter !== undefined);
  return found;
}

function probe(command: string): Interpreter | undefined {
  const program = 'import ensurepip, venv, sys; print("%d.%d" % sys.version_info[:2])';
  const { status, stdout } = spawnSync(command, ['-c', program], { encoding: 'utf8' });
  return status === 0 ? { command, version: stdout.trim() } : undefined;
}

/**
 * The judging interpreter: a release's packages in a virtual environment.
 *
 * @throws ProcessError when the packages cannot be installed
 */
export function providePython(release: Release, signal?: AbortSignal): Promise<string> {
  const requirements = new URL(`app/requirements-${release}.txt`, import.meta.url);
  return providePackages({ name: `judge-${release}`, title: `gunicorn and Django, ${release}`, requirements, signal });
}

/** Packages from PyPI. */
export interface Packages {
  /** Part of the folder's name. */
  readonly name: string;
  /** Its name in progress lines. */
  readonly title: string;
  /** Versions and hashes, in pip's format. */
  readonly requirements: URL;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Installs packages into a separate virtual environment, once for each list of requirements; returns the path of its
 * interpreter.
 *
 * @throws ProcessError when the packages cannot be installed
 */
export async function providePackages({ name, title, requirements, signal }: Packages): Promise<string> {
  const python = findPython();
  if (python === undefined) throw new Error('No Python 3 with venv and ensurepip was found on the PATH');
  const key = hash('sha256', readFileSync(requirements)).slice(0, 12);
  const path = join(CACHE, `${name}-python${python.version}-${key}`);
  const install = (to: string) => installInto(to, python, requirements.pathname, signal);
  await provide([{ title, path, build: install }], { signal });
  return join(path, 'bin', 'python');
}

async function installInto(to: string, python: Interpreter, requirements: string, signal?: AbortSignal): Promise<void> {
  const folder = createFolder('judge-install');
  const run = (name: string, command: string, args: readonly string[]) =>
    runCommand({ name, command, args, folder, env: process.env, signal });
  try {
    await run('venv', python.command, ['-m', 'venv', to]);
    const options = ['--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary=:all:'];
    await run('pip', join(to, 'bin', 'python'), ['-m', 'pip', 'install', ...options, '-r', requirements]);
  } finally {
    await removeFolder(folder);
  }
}
