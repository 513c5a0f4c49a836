import { readFile } from 'node:fs/promises';

/** A mounted Secret could not be read; the message names the file, never its content. */
class SecretUnreadableError extends Error {
  override readonly name = 'SecretUnreadableError';
}

/**
 * One key of a mounted Secret, without a trailing line break; undefined if it does not exist. An empty file counts as
 * missing: an empty key must not grant access.
 */
export async function readSecret(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '') || undefined;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SecretUnreadableError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
