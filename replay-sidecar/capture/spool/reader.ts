import { open } from 'node:fs/promises';

import { segmentPath } from './files.ts';
import { type SpoolRecord, scanRecords } from './record.ts';
import type { SpoolSegment } from './segment.ts';

/** A record of a segment, or a stretch of bytes that should be records and are not. */
export interface Entry {
  record: SpoolRecord | undefined;
  offset: number;
  end: number;
}

const CHUNK_BYTES = 256 * 1024;

/**
 * The complete records of a segment between `offset` and the chunk's end, and damage among them. Reading continues at
 * the `end` of the last one; an empty answer means that nothing readable follows: a record that a killed process had
 * not finished writing is skipped.
 *
 * @throws when the file cannot be read
 */
export async function readEntries(directory: string, segment: SpoolSegment, offset: number): Promise<Entry[]> {
  const file = await open(segmentPath(directory, segment), 'r');
  try {
    for (let size = CHUNK_BYTES; ; ) {
      const wanted = Math.min(size, segment.written - offset);
      const buffer = Buffer.allocUnsafe(wanted);
      const { bytesRead } = await file.read(buffer, 0, wanted, offset);
      const { entries, needs } = collect(buffer.subarray(0, bytesRead), offset);
      const more = bytesRead === wanted && offset + wanted < segment.written;
      if (entries.length > 0 || !more || needs <= size) return entries;
      size = needs;
    }
  } finally {
    await file.close();
  }
}

function collect(buffer: Buffer, base: number): { entries: Entry[]; needs: number } {
  const entries: Entry[] = [];
  for (const found of scanRecords(buffer)) {
    if (found.found === 'partial') return { entries, needs: found.needs };
    const record = found.found === 'record' ? found.record : undefined;
    entries.push({ record, offset: base + found.offset, end: base + found.end });
  }
  return { entries, needs: 0 };
}
