import { expect, test } from 'vitest';
import { createConcurrencyLimit } from './lane.ts';

test('groups take turns with bounded parallelism, and a failure holds up no other work', async () => {
  const lane = createConcurrencyLimit(2);
  const order: string[] = [];
  let underWay = 0;
  let most = 0;
  const work = (name: string) => async () => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    order.push(name);
    if (name.endsWith('1')) throw new Error(name);
    return name;
  };
  const all = [
    ...['a0', 'a1', 'a2', 'a3', 'a4', 'a5'].map((name) => lane.run(1, work(name))),
    ...['b0', 'b1'].map((name) => lane.run(2, work(name))),
  ];
  const results = await Promise.allSettled(all);
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual([
    true,
    false,
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
  expect(order).toEqual(['a0', 'a1', 'a2', 'b0', 'a3', 'b1', 'a4', 'a5']);
  expect(most).toBe(2);
});
