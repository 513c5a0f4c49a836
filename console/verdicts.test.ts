import { beforeEach, expect, test } from 'vitest';
import { createVerdicts, LONGEST_MS, SHORTEST_MS, type Verdicts } from './verdicts.ts';

let now: number;
let isAllowed: boolean;
/** The number of requests for each. */
let asked: Map<string, number>;
let verdicts: Verdicts;

function begin(mostVerdicts?: number) {
  let seed = 0;
  const random = () => {
    seed = (seed * 48_271 + 11) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  verdicts = createVerdicts({
    clock: { monotonic: () => now },
    random,
    ...(mostVerdicts === undefined ? {} : { mostVerdicts }),
  });
}

beforeEach(() => {
  now = 0;
  isAllowed = true;
  asked = new Map();
  begin();
});

const get = (caller: string, question: string) =>
  verdicts.get(caller, question, async () => {
    asked.set(question, (asked.get(question) ?? 0) + 1);
    return isAllowed;
  });
const total = () => [...asked.values()].reduce((sum, count) => sum + count, 0);

test('the verdict of a caller with few namespaces is requested again after five seconds', async () => {
  expect(await get('alice', 'shop')).toBe(true);
  isAllowed = false;
  now = SHORTEST_MS - 1;
  expect(await get('alice', 'shop')).toBe(true);
  now = SHORTEST_MS;
  expect(await get('alice', 'shop')).toBe(false);
  expect(total()).toBe(2);
});

test.each([200, 1000])(
  'a caller with %i namespaces costs about ten questions a second, and no lost right counts for over a minute',
  async (count) => {
    const namespaces = Array.from({ length: count }, (_, index) => `namespace-${index}`);
    const getAll = () => Promise.all(namespaces.map((namespace) => get('alice', namespace)));
    await getAll();
    expect(total()).toBe(count);
    let most = 0;
    for (let second = 1; second <= 600; second += 1) {
      const before = total();
      now = second * 1000;
      await getAll();
      // From here on they no longer expire together.
      if (second > 300) most = Math.max(most, total() - before);
    }
    const perSecond = Math.max(10, count / (LONGEST_MS / 1000));
    expect(total() - count).toBeLessThan(600 * perSecond * 1.5);
    expect(most).toBeLessThan(perSecond * 6);
    isAllowed = false;
    now += LONGEST_MS;
    expect((await getAll()).some(Boolean)).toBe(false);
  },
);

test("one caller's many namespaces do not age another caller's verdicts", async () => {
  for (let index = 0; index < 500; index += 1) await get('alice', `namespace-${index}`);
  await get('bob', 'shop');
  now = SHORTEST_MS;
  await get('bob', 'shop');
  expect(asked.get('shop')).toBe(2);
});

test('a question that failed is asked again', async () => {
  await expect(verdicts.get('alice', 'shop', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
  expect(await get('alice', 'shop')).toBe(true);
});

test("the verdict cache is bounded, and keeps the most recent caller's verdicts longest", async () => {
  begin(10);
  for (let index = 0; index < 8; index += 1) await get('alice', `namespace-${index}`);
  for (let index = 0; index < 6; index += 1) await get('bob', `other-${index}`);
  await get('bob', 'other-0');
  expect(asked.get('other-0')).toBe(1);
  await get('alice', 'namespace-7');
  expect(asked.get('namespace-7')).toBe(1);
  await get('alice', 'namespace-0');
  expect(asked.get('namespace-0')).toBe(2);
});
