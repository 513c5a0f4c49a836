import { promises as fs, write as writeCallback } from 'node:fs';
import { join } from 'node:path';

const SEGMENT_NAME = /^(\d{8,})\.spool$/;

/** A segment's file. Numbers only grow, also across restarts. */
export function segmentPath(directory: string, number: number): string {
  return join(directory, `${String(number).padStart(8, '0')}.spool`);
}

/** Numbers of the segments in the directory, oldest first; the directory is made when it is missing. */
export async function listSegments(directory: string): Promise<number[]> {
  await fs.mkdir(directory, { recursive: true });
  const numbers = (await fs.readdir(directory)).map((name) => Number(SEGMENT_NAME.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).sort((a, b) => a - b);
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
 * Identifies this boot of the node; `unknown` where the system does not tell (only Linux does), which then never
 * counts as a reboot.
 */
export async function readBootId(): Promise<string> {
  try {
    return (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    return 'unknown';
  }
}
