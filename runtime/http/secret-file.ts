import { readFile } from 'node:fs/promises';

/** A mounted Secret could not be read; the message names the file, never what is in it. */
class SecretUnreadableError extends Error {
  override readonly name = 'SecretUnreadableError';
}

/**
 * One key of a mounted Secret, without a line end after it; undefined where there is none. An empty file counts as missing:
 * an empty key must open nothing.
 */
export async function readSecret(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '') || undefined;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SecretUnreadableError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
