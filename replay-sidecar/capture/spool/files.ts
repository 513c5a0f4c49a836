import { promises as fs, write as writeCallback } from 'node:fs';
import { join } from 'node:path';

import type { SpoolSegment } from './segment.ts';

/** Identifiers are personal data: only this user may read the directory's content. */
export const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

const SEGMENT_NAME = /^(\d{8,})\.(spool|intents)$/;
/** Earlier releases had both kinds of records in files that end with `.spool`. */
const EXTENSIONS = { events: 'spool', intents: 'intents' } as const satisfies Record<SpoolSegment['kind'], string>;

type SegmentName = Pick<SpoolSegment, 'number' | 'kind'>;

/** A segment's file. Numbers only grow, also across restarts. */
export function segmentPath(directory: string, { number, kind }: SegmentName): string {
  return join(directory, `${String(number).padStart(8, '0')}.${EXTENSIONS[kind]}`);
}

/** The segments in the directory, oldest first; the directory is created when it is missing. */
export async function listSegmentFiles(directory: string): Promise<SegmentName[]> {
  await fs.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  // A volume's own root usually belongs to another user; the files are closed to others all the same.
  await fs.chmod(directory, DIRECTORY_MODE).catch(ignoreForeign);
  const names = (await fs.readdir(directory)).map((name) => SEGMENT_NAME.exec(name));
  return names
    .filter((match) => match !== null)
    .map(([, number, extension]) => ({
      number: Number(number),
      kind: extension === EXTENSIONS.intents ? ('intents' as const) : ('events' as const),
    }))
    .sort((a, b) => a.number - b.number);
}

function ignoreForeign(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPERM') throw error;
}

/** Writes all of `buffer` at `position`; a short write (a disk that fills up) is continued until it fails. */
export function writeFully(fd: number, buffer: Buffer, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const write = (from: number) => {
      writeCallback(fd, buffer, from, buffer.length - from, position + from, (error, written) => {
        if (error !== null) reject(error);
        else if (from + written < buffer.length) write(from + written);
        else resolve();
      });
    };
    write(0);
  });
}

/**
 * Identifies this boot of the node; `unknown` where the system does not report it (only Linux does), which then never
 * counts as a reboot.
 */
export async function readBootId(): Promise<string> {
  try {
    return (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    return 'unknown';
  }
}
