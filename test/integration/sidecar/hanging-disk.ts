import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { createFolder, removeFolder } from '../../cluster/reaper.ts';

const SOURCE = fileURLToPath(new URL('./hanging-disk.c', import.meta.url));

/** Whether this machine can compile it. CI must: there the tests fail instead of being skipped. */
export function hasCompiler(): boolean {
  if (process.env['CI'] !== undefined) return true;
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

/** A folder whose file calls can be made to hang in another process, which gets `env` for that. */
export interface HangingDisk extends AsyncDisposable {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  /** From now on each call on the folder's files blocks its thread. */
  hang(): void;
  /** From now on each call takes a quarter of a second. */
  slow(): void;
  /** Releases all blocked calls. */
  release(): void;
}

/**
 * @param directory the folder as seen by the other process; by default one on this disk
 * @throws when there is no C compiler
 */
export function createHangingDisk(directory?: string): HangingDisk {
  const folder = createFolder('hanging-disk');
  const [path, library, switchFile] = ['spool', 'hanging-disk.so', 'hangs'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, SOURCE, '-ldl']);
  const slowSwitch = `${switchFile}.slowly`;
  const release = () => {
    for (const file of [switchFile, slowSwitch]) rmSync(file, { force: true });
  };
  return {
    path,
    env: { LD_PRELOAD: library, HANGING_DIRECTORY: directory ?? path, HANGING_WHILE: switchFile },
    hang: () => writeFileSync(switchFile, ''),
    slow: () => writeFileSync(slowSwitch, ''),
    release,
    async [Symbol.asyncDispose]() {
      release();
      await removeFolder(folder);
    },
  };
}
