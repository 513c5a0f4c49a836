import { crc32 } from 'node:zlib';

import type { WriteEvent } from '@edge-migration/contract/write-event.ts';

/**
 * A segment file is a sequence of records, little-endian, without padding:
 *
 *     u16 magic | u8 kind | u8 0 | u32 payload bytes | u32 CRC32 of the payload | u32 CRC32 of these 12 bytes | payload
 *
 * The header has its own checksum, to distinguish a damaged length from a record that a killed process had not finished
 * writing: the first leaves a gap, the second was never promised to anyone.
 */
const MAGIC = 0x5ea1;
const HEADER_BYTES = 16;
const KINDS = ['segment', 'intent', 'events'] as const;
const OUTCOMES = ['known', 'unknown', 'background'] as const satisfies readonly WriteEvent['outcome'][];

/** First record of every segment. */
interface SegmentRecord {
  kind: 'segment';
  /** Milliseconds since the epoch. */
  createdTime: number;
  /** Changes when the node boots: anything not synced by then may be lost without a trace. */
  bootId: string;
}

/** What a request may touch, appended before it is forwarded. */
interface IntentRecord {
  kind: 'intent';
  beganTime: number;
  lines: string;
}

/** The events to be published for an intent; `lines` is empty when the request changed nothing. */
export interface EventsRecord {
  kind: 'events';
  /** The {@link placeId} of the intent that this finishes; 0 for none. */
  intent: number;
  beganTime: number;
  outcome: WriteEvent['outcome'];
  observedTime: number;
  lines: string;
}

export type SpoolRecord = SegmentRecord | IntentRecord | EventsRecord;

/** Segments end far below this many bytes. */
const PLACE_RADIX = 2 ** 28;

/** A record's place as one number, unique in the directory across restarts; an integer for 33 million segments. */
export function placeId(segment: number, offset: number): number {
  return segment * PLACE_RADIX + offset;
}

/** How many events (or drafts) the lines of a record hold. */
export function countLines(lines: string): number {
  if (lines === '') return 0;
  let count = 1;
  for (let at = lines.indexOf('\n'); at !== -1; at = lines.indexOf('\n', at + 1)) count += 1;
  return count;
}

/** Bytes that {@link encodeRecord} may need at most. */
export function worstCaseBytes(record: SpoolRecord): number {
  const text = record.kind === 'segment' ? record.bootId : record.lines;
  return HEADER_BYTES + 32 + text.length * 3;
}

/** Writes the record at `offset`, where {@link worstCaseBytes} must be free; returns the offset behind it. */
export function encodeRecord(buffer: Buffer, offset: number, record: SpoolRecord): number {
  const start = offset + HEADER_BYTES;
  const end = encodePayload(buffer, start, record);
  buffer.writeUInt16LE(MAGIC, offset);
  buffer.writeUInt8(KINDS.indexOf(record.kind), offset + 2);
  buffer.writeUInt8(0, offset + 3);
  buffer.writeUInt32LE(end - start, offset + 4);
  buffer.writeUInt32LE(crc32(buffer.subarray(start, end)), offset + 8);
  buffer.writeUInt32LE(crc32(buffer.subarray(offset, offset + 12)), offset + 12);
  return end;
}

function encodePayload(buffer: Buffer, start: number, record: SpoolRecord): number {
  switch (record.kind) {
    case 'segment': {
      const at = buffer.writeDoubleLE(record.createdTime, start);
      return at + buffer.write(record.bootId, at);
    }
    case 'intent': {
      const at = buffer.writeDoubleLE(record.beganTime, start);
      return at + buffer.write(record.lines, at);
    }
    case 'events': {
      let at = buffer.writeDoubleLE(record.beganTime, buffer.writeDoubleLE(record.intent, start));
      at = buffer.writeUInt8(OUTCOMES.indexOf(record.outcome), at);
      at = buffer.writeDoubleLE(record.observedTime, at);
      return at + buffer.write(record.lines, at);
    }
  }
}

function decodePayload(kind: SpoolRecord['kind'], payload: Buffer): SpoolRecord {
  switch (kind) {
    case 'segment':
      return { kind, createdTime: payload.readDoubleLE(0), bootId: payload.toString('utf8', 8) };
    case 'intent':
      return { kind, beganTime: payload.readDoubleLE(0), lines: payload.toString('utf8', 8) };
    case 'events':
      return {
        kind,
        intent: payload.readDoubleLE(0),
        beganTime: payload.readDoubleLE(8),
        outcome: OUTCOMES[payload.readUInt8(16)] ?? 'unknown',
        observedTime: payload.readDoubleLE(17),
        lines: payload.toString('utf8', 25),
      };
  }
}

/**
 * What {@link scanRecords} finds: a record, other bytes (`damage`, to skip), or the start of a record whose rest
 * is not in the buffer (`partial`, always last: read on from `offset`; at the end of a file: never finished).
 */
export type ScannedRecord =
  | { found: 'record'; offset: number; end: number; record: SpoolRecord }
  | { found: 'damage'; offset: number; end: number }
  | { found: 'partial'; offset: number; needs: number };

/** All records of `buffer` in order. Never throws, whatever the bytes are. */
export function* scanRecords(buffer: Buffer): Generator<ScannedRecord> {
  let offset = 0;
  while (offset < buffer.length) {
    const header = readHeader(buffer, offset);
    if (header === 'partial') {
      yield { found: 'partial', offset, needs: HEADER_BYTES };
      return;
    }
    if (header !== 'damage' && offset + HEADER_BYTES + header.length > buffer.length) {
      yield { found: 'partial', offset, needs: HEADER_BYTES + header.length };
      return;
    }
    const record = header === 'damage' ? undefined : readRecord(buffer, offset, header);
    if (header !== 'damage' && record !== undefined) {
      const end = offset + HEADER_BYTES + header.length;
      yield { found: 'record', offset, end, record };
      offset = end;
    } else {
      const end = nextHeader(buffer, offset + 1);
      yield { found: 'damage', offset, end };
      offset = end;
    }
  }
}

interface Header {
  kind: SpoolRecord['kind'];
  length: number;
  crc: number;
}

function readHeader(buffer: Buffer, offset: number): Header | 'partial' | 'damage' {
  if (offset + HEADER_BYTES > buffer.length) return startsLikeHeader(buffer, offset) ? 'partial' : 'damage';
  if (buffer.readUInt16LE(offset) !== MAGIC) return 'damage';
  if (buffer.readUInt32LE(offset + 12) !== crc32(buffer.subarray(offset, offset + 12))) return 'damage';
  const kind = KINDS[buffer.readUInt8(offset + 2)];
  if (kind === undefined) return 'damage';
  return { kind, length: buffer.readUInt32LE(offset + 4), crc: buffer.readUInt32LE(offset + 8) };
}

/** Fewer bytes than a header are left: could they begin one? */
function startsLikeHeader(buffer: Buffer, offset: number): boolean {
  if (buffer[offset] !== (MAGIC & 0xff)) return false;
  return offset + 1 >= buffer.length || buffer[offset + 1] === MAGIC >> 8;
}

function readRecord(buffer: Buffer, offset: number, header: Header): SpoolRecord | undefined {
  const payload = buffer.subarray(offset + HEADER_BYTES, offset + HEADER_BYTES + header.length);
  if (crc32(payload) !== header.crc || payload.length < MINIMUM_PAYLOAD[header.kind]) return undefined;
  return decodePayload(header.kind, payload);
}

const MINIMUM_PAYLOAD: Record<SpoolRecord['kind'], number> = { segment: 8, intent: 8, events: 25 };

/** Where the next undamaged header begins (or may begin, at the buffer's end); the buffer's length if nowhere. */
function nextHeader(buffer: Buffer, from: number): number {
  for (let at = from; ; at++) {
    at = buffer.indexOf(MAGIC & 0xff, at);
    if (at === -1) return buffer.length;
    if (readHeader(buffer, at) !== 'damage') return at;
  }
}
