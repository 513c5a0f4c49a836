import { encodeRecord, type SpoolRecord, worstCaseBytes } from './record.ts';
import type { SpoolSegment } from './segment.ts';

const FIRST_BATCH_BYTES = 16 * 1024;
const LARGEST_SPARE_BYTES = 256 * 1024;

/** Records that go to one file in one write. */
export interface Batch {
  readonly segment: SpoolSegment;
  buffer: Buffer;
  length: number;
  /** When the oldest request of a record in it began. */
  since: number;
  readonly waiting: ((durable: boolean) => void)[];
}

/** Records to be written, a batch for each segment. */
export class BatchQueue {
  private batches: Batch[] = [];
  /** Set while everything queued is to be written, not only records that requests wait for. */
  private isAllDue = false;
  /** The last batch's buffer, for the next one. */
  private spare: Buffer | undefined;

  get all(): readonly Batch[] {
    return this.batches;
  }

  has(segment: SpoolSegment): boolean {
    return this.batches.some((batch) => batch.segment === segment);
  }

  lastOf(kind: SpoolSegment['kind']): Batch | undefined {
    return this.batches.findLast(({ segment }) => segment.kind === kind);
  }

  add(segment: SpoolSegment, record: SpoolRecord, now: number): void {
    const batch = this.batchFor(segment, now);
    const room = worstCaseBytes(record);
    if (batch.buffer.length - batch.length < room) batch.buffer = grow(batch.buffer, batch.length + room);
    const end = encodeRecord(batch.buffer, batch.length, record);
    segment.appended += end - batch.length;
    batch.length = end;
    if (record.kind !== 'segment') batch.since = Math.min(batch.since, record.beganTime);
  }

  makeAllDue(): void {
    this.isAllDue = true;
  }

  /** The next batch that is due: intents first, because requests wait for them. */
  takeDue(): Batch | undefined {
    const first = this.batches.findIndex(({ segment }) => segment.kind === 'intents');
    const index = first < 0 && this.isAllDue ? 0 : first;
    this.isAllDue &&= this.batches.length > 1;
    return index < 0 ? undefined : this.batches.splice(index, 1)[0];
  }

  /** Removes the batches for this segment. */
  takeOf(segment: SpoolSegment): Batch[] {
    const taken = this.batches.filter((batch) => batch.segment === segment);
    this.batches = this.batches.filter((batch) => batch.segment !== segment);
    return taken;
  }

  /** The bytes of a batch are in its file. */
  giveBack({ buffer }: Batch): void {
    if (buffer.length <= LARGEST_SPARE_BYTES) this.spare ??= buffer;
  }

  private batchFor(segment: SpoolSegment, now: number): Batch {
    const queued = this.batches.find((batch) => batch.segment === segment);
    if (queued !== undefined) return queued;
    const buffer = this.spare ?? Buffer.allocUnsafe(FIRST_BATCH_BYTES);
    this.spare = undefined;
    const batch = { segment, buffer, length: 0, since: now, waiting: [] };
    this.batches.push(batch);
    return batch;
  }
}

/** When the oldest request of a record in any of them began. */
export const oldest = (batches: readonly Batch[]): number => Math.min(...batches.map(({ since }) => since));

/** Resolves the promises that wait for them. */
export function settleBatches(batches: readonly Batch[], durable: boolean): void {
  for (const batch of batches) for (const resolve of batch.waiting.splice(0)) resolve(durable);
}

function grow(buffer: Buffer, needed: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(needed, buffer.length * 2));
  buffer.copy(larger);
  return larger;
}
