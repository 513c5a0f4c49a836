import { expect, test } from 'vitest';
import { createFairQueue } from './fair-queue.ts';

/** A queue whose runs end when told to. */
function createRig(limits: { overall: number; perGroup: number }) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const queue = createFairQueue<number>(limits, async (group, key, items) => {
    const name = `${group}/${key}:${items.join('+')}`;
    started.push(name);
    await new Promise<void>((resolve) => ends.set(name, resolve));
  });
  const end = async (name: string) => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, started, end };
}

test('items under one key run together, and wait while the key runs', async () => {
  const { queue, started, end } = createRig({ overall: 2, perGroup: 2 });
  for (const item of [1, 2, 3]) queue.add(7, 'a', item);
  expect(started).toEqual(['7/a:1']);
  expect(queue.size).toBe(3);
  await end('7/a:1');
  expect(started).toEqual(['7/a:1', '7/a:2+3']);
  await end('7/a:2+3');
  expect(queue.size).toBe(0);
});

test('groups take turns, however much one of them has', async () => {
  const { queue, started, end } = createRig({ overall: 1, perGroup: 1 });
  for (const item of [1, 2, 3]) queue.add(1, `busy ${item}`, item);
  queue.add(2, 'other', 4);
  await end('1/busy 1:1');
  await end('2/other:4');
  await end('1/busy 2:2');
  expect(started).toEqual(['1/busy 1:1', '2/other:4', '1/busy 2:2', '1/busy 3:3']);
});

test('a slow group leaves room for the others', () => {
  const { queue, started } = createRig({ overall: 3, perGroup: 2 });
  for (const item of [1, 2, 3]) queue.add(1, `slow ${item}`, item);
  queue.add(2, 'other', 4);
  queue.add(3, 'late', 5);
  expect(started).toEqual(['1/slow 1:1', '1/slow 2:2', '2/other:4']);
});

test('a stopped queue waits for what runs and starts nothing more', async () => {
  const { queue, started, end } = createRig({ overall: 1, perGroup: 1 });
  queue.add(1, 'a', 1);
  queue.add(1, 'b', 2);
  const stopped = queue.stop();
  await end('1/a:1');
  await stopped;
  expect(started).toEqual(['1/a:1']);
});
