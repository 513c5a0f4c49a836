import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { coverageGap } from '@edge-migration/contract/reports/coverage.ts';
import { z } from 'zod';
import { FILE_MODE } from './files.ts';

/** The stream that events were put into, so that another one of the same name, or a loss in it, is noticed. */
const streamState = z.object({
  /** When the stream was made, by NATS's clock; as it reports it. */
  createdTime: z.string(),
  /** When the first event was put into it; epoch milliseconds, as all times here. */
  sinceTime: z.number(),
  /** The last events that were removed from the spool, because the stream is trusted to have them. */
  settledTime: z.number(),
  settledSequence: z.number(),
});

/** State that must survive the process besides the segments. */
const durableState = z.object({
  /** Boot of the node under which it was saved, and when that process began. */
  bootId: z.string(),
  /** Made with the directory's first state; missing in those of older releases. */
  spoolId: z.string().optional(),
  openedTime: z.number(),
  gaps: z.array(coverageGap),
  stream: streamState.nullable(),
});

export type DurableState = z.infer<typeof durableState>;

/** The state grew beyond its slot; its creator must keep it small. */
export class StateTooLargeError extends Error {
  override readonly name = 'StateTooLargeError';
}

/** One of the two slots: u32 length of the JSON, u32 CRC32 of all that follows, f64 generation, JSON. */
export const SLOT_BYTES = 32 * 1024;
const PREFIX_BYTES = 16;

export interface StateFile {
  /** The newest state that was saved; undefined when there is none. */
  readonly loaded: DurableState | undefined;
  save(state: DurableState): Promise<void>;
  close(): Promise<void>;
}

/**
 * A small file that is overwritten in place, one of two slots at a time, so that a gap can still be noted down when the
 * disk is full, and so that a process killed meanwhile leaves the other slot whole.
 */
export async function openStateFile(directory: string): Promise<StateFile> {
  const path = join(directory, 'state');
  const file = await open(path, 'r+').catch(() => open(path, 'w+', FILE_MODE));
  try {
    await file.chmod(FILE_MODE);
    const content = Buffer.alloc(2 * SLOT_BYTES);
    await file.read(content, 0, content.length, 0);
    // Blocks are taken from the disk now, while it has some.
    await file.write(content, 0, content.length, 0);
    return stateFile(file, content);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function stateFile(file: FileHandle, content: Buffer): StateFile {
  const slots = [0, 1].map((slot) => parseSlot(content.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)));
  const newest = (slots[1]?.generation ?? 0) > (slots[0]?.generation ?? 0) ? slots[1] : slots[0];
  let generation = newest?.generation ?? 0;
  let saving = Promise.resolve();
  return {
    loaded: newest?.state,
    save(state) {
      const next = saving.then(async () => {
        generation += 1;
        const slot = formatSlot(generation, state);
        await file.write(slot, 0, slot.length, (generation % 2) * SLOT_BYTES);
      });
      saving = next.catch(() => undefined);
      return next;
    },
    async close() {
      await saving;
      await file.close();
    },
  };
}

function formatSlot(generation: number, state: DurableState): Buffer {
  const json = Buffer.from(JSON.stringify(state));
  if (json.length > SLOT_BYTES - PREFIX_BYTES) throw new StateTooLargeError(`${json.length} bytes of state`);
  const slot = Buffer.alloc(PREFIX_BYTES + json.length);
  slot.writeUInt32LE(json.length, 0);
  slot.writeDoubleLE(generation, 8);
  slot.set(json, PREFIX_BYTES);
  slot.writeUInt32LE(crc32(slot.subarray(8)), 4);
  return slot;
}

function parseSlot(slot: Buffer): { generation: number; state: DurableState } | undefined {
  const length = slot.readUInt32LE(0);
  if (length === 0 || length > SLOT_BYTES - PREFIX_BYTES) return undefined;
  if (crc32(slot.subarray(8, PREFIX_BYTES + length)) !== slot.readUInt32LE(4)) return undefined;
  const state = durableState.safeParse(JSON.parse(slot.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + length)));
  return state.success ? { generation: slot.readDoubleLE(8), state: state.data } : undefined;
}
