import { writeSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';

import type { Clock } from '@edge-migration/identity/clock.ts';

import { segmentPath, writeFully } from './files.ts';
import type { Segment } from './segment.ts';

/**
 * How often written records are forced to the disk. A process that is killed loses nothing in any case: the kernel has
 * the bytes. Only a node that goes down takes what was not forced; an emptyDir outlives a reboot, and the next process
 * then reports a gap.
 */
export type SyncPolicy = 'none' | 'interval' | 'commit';

export interface Disk {
  /**
   * Appends bytes to the segment's file. Done when it returns undefined.
   *
   * @throws or rejects when the disk does
   */
  write(segment: Segment, bytes: Buffer): Promise<void> | undefined;
  /** Under policy `interval`: begins to force what was written, unless that is under way. */
  sync(segment: Segment): void;
  /** Closes the file in the background; nothing more is written to it. */
  release(segment: Segment): void;
  remove(segment: Segment): Promise<void>;
  /** Waits for what is in the background. */
  close(): Promise<void>;
}

export interface DiskOptions {
  directory: string;
  clock: Clock;
  policy: SyncPolicy;
  /** Bytes of the segment could not be forced to the disk. */
  onUnsynced(error: unknown, segment: Segment): void;
}

/** A write into the kernel's cache takes microseconds; this is a disk in trouble. */
const SLOW_WRITE_MILLIS = 20;
const SLOW_FOR_MILLIS = 60_000;

/**
 * Writes at once while the disk is quick: into the kernel's cache that costs 2 µs, through a thread ten times as much
 * and another turn of the event loop. But a disk that hangs must not stop the requests, so after a slow write, and
 * while bytes are being forced to the disk (each second, in a thread: on a disk that hangs this does not come back),
 * writes go through threads.
 */
export function createDisk({ directory, clock, policy, onUnsynced }: DiskOptions): Disk {
  const background = new Set<Promise<void>>();
  let slowUntil = Number.NEGATIVE_INFINITY;
  let unsynced = false;
  let syncing = 0;

  function writeAtOnce(segment: Segment, fd: number, bytes: Buffer): void {
    const began = clock.monotonic();
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(fd, bytes, done, bytes.length - done, segment.written + done);
    }
    const now = clock.monotonic();
    if (now - began > SLOW_WRITE_MILLIS) slowUntil = now + SLOW_FOR_MILLIS;
  }

  async function writeInThread(segment: Segment, bytes: Buffer): Promise<void> {
    segment.file ??= await open(segmentPath(directory, segment.number), 'wx');
    await writeFully(segment.file.fd, bytes, segment.written);
    if (policy === 'commit') await segment.file.datasync();
    segment.written += bytes.length;
  }

  function inBackground(work: Promise<void>, segment: Segment): void {
    const done = work
      .catch((error: unknown) => onUnsynced(error, segment))
      .finally(() => {
        background.delete(done);
      });
    background.add(done);
  }

  async function force(segment: Segment, close: boolean): Promise<void> {
    const { file } = segment;
    if (close) segment.file = undefined;
    syncing += 1;
    try {
      if (policy !== 'none') await file?.datasync();
    } finally {
      syncing -= 1;
      if (close) await file?.close();
    }
  }

  return {
    write(segment, bytes) {
      unsynced = true;
      const quick = policy !== 'commit' && syncing === 0 && clock.monotonic() > slowUntil;
      if (!quick || segment.file === undefined) return writeInThread(segment, bytes);
      writeAtOnce(segment, segment.file.fd, bytes);
      segment.written += bytes.length;
      return undefined;
    },
    sync(segment) {
      if (policy !== 'interval' || !unsynced || syncing > 0) return;
      unsynced = false;
      inBackground(force(segment, false), segment);
    },
    release: (segment) => inBackground(force(segment, true), segment),
    async remove(segment) {
      await unlink(segmentPath(directory, segment.number)).catch(ignoreMissing);
    },
    async close() {
      await Promise.all(background);
    },
  };
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
