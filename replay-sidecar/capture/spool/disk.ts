import { open, unlink } from 'node:fs/promises';

import { FILE_MODE, segmentPath, writeFully } from './files.ts';
import type { SerialQueue } from './lane.ts';
import type { SpoolSegment } from './segment.ts';

/**
 * How often written records are forced to the disk. A killed process loses nothing in any case: the kernel has the
 * bytes. Only a node that goes down loses what was not forced; an emptyDir outlives a reboot, and the next process then
 * reports a gap.
 */
export type SyncPolicy = 'none' | 'interval' | 'commit';

export interface Disk {
  /** Appends bytes to the segment's file; one call at a time. Rejects when the disk does. */
  write(segment: SpoolSegment, bytes: Buffer): Promise<void>;
  /** Under policy `interval`: begins to force what was written, unless that is under way. */
  sync(): void;
  /** Closes the file in the background; nothing more is written to it. */
  release(segment: SpoolSegment): void;
  remove(segment: SpoolSegment): Promise<void>;
  /** Waits for work in the background. */
  close(): Promise<void>;
}

export interface DiskOptions {
  directory: string;
  policy: SyncPolicy;
  /** For everything but writes. */
  chores: SerialQueue;
  /** Bytes of the segment could not be forced to the disk. */
  onUnsynced(error: unknown, segment: SpoolSegment): void;
}

/**
 * The segments' files. Every call goes through a thread, even a write into the kernel's cache, which usually takes
 * microseconds: on a disk that hangs it does not come back, and would block the event loop with all requests.
 */
export function createDisk({ directory, policy, chores, onUnsynced }: DiskOptions): Disk {
  const unsynced = new Set<SpoolSegment>();
  let syncing = false;

  async function force(segment: SpoolSegment): Promise<void> {
    try {
      if (unsynced.delete(segment)) await segment.file?.datasync();
    } catch (error) {
      onUnsynced(error, segment);
    }
  }

  async function forceAll(): Promise<void> {
    for (const segment of [...unsynced]) await force(segment);
    syncing = false;
  }

  async function closeFile(segment: SpoolSegment): Promise<void> {
    await force(segment);
    await segment.file?.close().catch((error: unknown) => onUnsynced(error, segment));
    segment.file = undefined;
  }

  return {
    async write(segment, bytes) {
      segment.file ??= await open(segmentPath(directory, segment), 'wx', FILE_MODE);
      await writeFully(segment.file.fd, bytes, segment.written);
      if (policy === 'commit') await segment.file.datasync();
      else if (policy === 'interval') unsynced.add(segment);
      segment.written += bytes.length;
    },
    sync() {
      if (unsynced.size === 0 || syncing) return;
      syncing = true;
      void chores.run(forceAll);
    },
    release: (segment) => void chores.run(() => closeFile(segment)),
    remove: (segment) => chores.run(() => unlink(segmentPath(directory, segment)).catch(ignoreMissing)),
    close: () => chores.run(async () => undefined),
  };
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
