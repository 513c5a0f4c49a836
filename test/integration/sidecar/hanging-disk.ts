import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { createFolder, removeFolder } from '../../cluster/reaper.ts';

const SOURCE = fileURLToPath(new URL('./hanging-disk.c', import.meta.url));

/** Whether this machine can compile it. On CI it must: there the tests fail instead of being skipped. */
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
  /** From now on each call on the folder's files hangs the thread that made it. */
  hang(): void;
  /** Lets all of them go on. */
  release(): void;
}

/** @throws when there is no C compiler */
export function createHangingDisk(): HangingDisk {
  const folder = createFolder('hanging-disk');
  const [path, library, switchFile] = ['spool', 'hanging-disk.so', 'hangs'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, SOURCE, '-ldl']);
  const release = () => rmSync(switchFile, { force: true });
  return {
    path,
    env: { LD_PRELOAD: library, HANGING_DIRECTORY: path, HANGING_WHILE: switchFile },
    hang: () => writeFileSync(switchFile, ''),
    release,
    async [Symbol.asyncDispose]() {
      release();
      await removeFolder(folder);
    },
  };
}
