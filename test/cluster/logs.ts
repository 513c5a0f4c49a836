import { cpSync, globSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Copies the logs in `folder`, which is about to be deleted, to a folder of the same name in `to`. */
export function keepLogs(folder: string, to: string): void {
  for (const log of globSync('**/*.log', { cwd: folder })) cpSync(join(folder, log), join(to, basename(folder), log));
}
