import { stat } from 'node:fs/promises';

import { segmentPath } from './files.ts';
import { type Entry, readEntries } from './reader.ts';
import { countLines, placeId } from './record.ts';
import type { SpoolSegment } from './segment.ts';

/** An intent without events: the end of its request is unknown. */
export interface UnfinishedIntent {
  /** Its {@link placeId}. */
  id: number;
  beganTime: number;
  lines: string;
}

/** What earlier processes left. */
export interface Recovered {
  unfinished: UnfinishedIntent[];
  /** Time ranges whose records were damaged, epoch milliseconds. */
  damaged: { from: number; until: number }[];
  /** Time of the last record that was read, and whether it was written before the node was booted. */
  lastTime: number | undefined;
  rebooted: boolean;
}

/**
 * Reads all records of these sealed segments and fills in their contents. A record that a killed process did not finish
 * writing is skipped: its request was not forwarded, or its intent is there. A segment that cannot be read at all is
 * damaged as a whole.
 *
 * @param now epoch milliseconds; the end of damage with nothing readable after it
 */
export async function recoverSegments(
  directory: string,
  segments: readonly SpoolSegment[],
  bootId: string,
  now: number,
): Promise<Recovered> {
  const recovered: Recovered = { unfinished: [], damaged: [], lastTime: undefined, rebooted: false };
  const intents = new Map<number, UnfinishedIntent>();
  // Intents before their events, regardless of which file is older.
  for (const kind of ['intents', 'events'] as const) {
    const scan = createScan(recovered, intents, bootId);
    for (const segment of segments.filter((one) => one.kind === kind)) {
      try {
        await readSegment(directory, segment, (entry) => scan.take(segment, entry));
      } catch {
        // Read errors are damage like any other: the rest of the segment is lost.
        scan.damage(segment);
      }
    }
    scan.end(now);
  }
  recovered.unfinished = [...intents.values()];
  return recovered;
}

async function readSegment(directory: string, segment: SpoolSegment, take: (entry: Entry) => void): Promise<void> {
  segment.written = (await stat(segmentPath(directory, segment))).size;
  let offset = 0;
  while (offset < segment.written) {
    const entries = await readEntries(directory, segment, offset);
    for (const entry of entries) take(entry);
    const end = entries.at(-1)?.end;
    if (end === undefined) break;
    offset = end;
  }
  // What follows is the beginning of a record that was never finished.
  segment.written = offset;
  segment.appended = offset;
}

/** An event is written when its request ends, behind those of requests that began after it. */
const LONGEST_REQUEST_MS = 10 * 60_000;

function createScan(recovered: Recovered, intents: Map<number, UnfinishedIntent>, bootId: string) {
  let lastTime: number | undefined;
  let damagedFrom: number | undefined;

  function endDamage(until: number): void {
    if (damagedFrom !== undefined) recovered.damaged.push({ from: Math.min(damagedFrom, until), until });
    damagedFrom = undefined;
  }

  function sawTime(time: number): void {
    endDamage(time);
    lastTime = Math.max(lastTime ?? time, time);
    recovered.lastTime = Math.max(recovered.lastTime ?? time, time);
  }

  function damage(segment: SpoolSegment): void {
    segment.damaged = true;
    damagedFrom ??= Math.max(0, (lastTime ?? 0) - LONGEST_REQUEST_MS);
  }

  function take(segment: SpoolSegment, { record, offset }: Entry): void {
    switch (record?.kind) {
      case undefined:
        damage(segment);
        break;
      case 'segment':
        recovered.rebooted ||= record.bootId !== bootId;
        sawTime(record.createdTime);
        break;
      case 'intent': {
        const id = placeId(segment.number, offset);
        intents.set(id, { id, beganTime: record.beganTime, lines: record.lines });
        segment.firstTime = Math.min(segment.firstTime, record.beganTime);
        sawTime(record.beganTime);
        break;
      }
      case 'events':
        intents.delete(record.intent);
        segment.events += countLines(record.lines);
        segment.firstTime = Math.min(segment.firstTime, record.beganTime);
        sawTime(record.observedTime);
    }
  }

  function end(now: number): void {
    endDamage(now);
  }

  return { take, damage, end };
}
