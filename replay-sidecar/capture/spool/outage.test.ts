import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { describe, expect, it } from 'vitest';

import { draft, identifierOf, manualClock, openSpool, temporaryFolder, turn } from './testing.ts';

const PER_SECOND = 500;
const SECONDS = 600;
const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function memory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe('ten minutes without NATS under 500 writes a second', () => {
  it('cost disk, not memory, and every write is handed out afterwards', async () => {
    using folder = temporaryFolder();
    const clock = manualClock();
    await using opened = await openSpool(folder.path, {
      clock,
      limitBytes: 512 * MIB,
      segmentBytes: 4 * MIB,
      memoryCharacters: 4 * MIB,
    });
    const { spool } = opened;
    const before = memory();
    for (let second = 0; second < SECONDS; second++) {
      const drafts = Array.from({ length: PER_SECOND }, (_, index) => draft(`${second}-${index}`));
      const intents = await Promise.all(drafts.map((one) => spool.begin([one])));
      for (const intent of intents) intent.finish({ outcome: 'known' });
      clock.advance(1000);
      await spool.tick();
    }
    expect(spool.facts().depth).toBe(PER_SECOND * SECONDS);
    expect(memory() - before).toBeLessThan(32 * MIB);

    const missing = new Set(Array.from({ length: SECONDS }, (_, second) => second).map((second) => `${second}-0`));
    let count = 0;
    while (spool.facts().depth > 0) {
      for (let delivery = spool.outbox.next(); delivery !== undefined; delivery = spool.outbox.next()) {
        count += 1;
        missing.delete(identifierOf(delivery));
        spool.outbox.acknowledge(delivery, count);
      }
      await turn();
    }
    expect(count).toBe(PER_SECOND * SECONDS);
    expect([...missing]).toEqual([]);
    expect(spool.gaps.list()).toEqual([]);
  });
});
