import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type DurableState, openStateFile, StateTooLargeError } from './state.ts';
import { temporaryFolder } from './testing.ts';

const state = (openedTime: number): DurableState => ({ bootId: 'boot', openedTime, gaps: [], stream: null });

async function load(directory: string): Promise<DurableState | undefined> {
  const file = await openStateFile(directory);
  await file.close();
  return file.loaded;
}

describe('the state file', () => {
  it('gives back what was saved last', async () => {
    using folder = temporaryFolder();
    expect(await load(folder.path)).toBeUndefined();
    const file = await openStateFile(folder.path);
    for (const openedTime of [1, 2, 3]) await file.save(state(openedTime));
    await file.close();
    expect(await load(folder.path)).toEqual(state(3));
  });

  it('takes its room on the disk at once and never grows', async () => {
    using folder = temporaryFolder();
    const file = await openStateFile(folder.path);
    const size = readFileSync(join(folder.path, 'state')).length;
    for (const openedTime of [1, 2, 3]) await file.save(state(openedTime));
    await file.close();
    expect(readFileSync(join(folder.path, 'state')).length).toBe(size);
  });

  it('falls back to the state before when the last one was damaged, at any byte', async () => {
    using folder = temporaryFolder();
    const file = await openStateFile(folder.path);
    await file.save(state(1));
    const before = readFileSync(join(folder.path, 'state'));
    await file.save(state(2));
    await file.close();
    const after = readFileSync(join(folder.path, 'state'));
    const changed = [...after.keys()].filter((at) => before[at] !== after[at]);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...changed), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Buffer.from(after);
        damaged[at] = damaged[at]! ^ change;
        writeFileSync(join(folder.path, 'state'), damaged);
        expect([1, 2]).toContain((await load(folder.path))?.openedTime);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses a state beyond its slot and keeps the one it has', async () => {
    using folder = temporaryFolder();
    const file = await openStateFile(folder.path);
    await file.save(state(1));
    await expect(file.save({ ...state(2), bootId: 'x'.repeat(40_000) })).rejects.toThrow(StateTooLargeError);
    await file.close();
    expect(await load(folder.path)).toEqual(state(1));
  });
});
