import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { addMark, emptySketch, markOf, writeSketch } from '@edge-migration/contract/reports/sketch.ts';
import { usageReport } from '@edge-migration/contract/reports/usage.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { nameClient } from './client-name.ts';
import { MOST_CELLS, MOST_ENVIRONMENTS } from './environment-days.ts';
import { PAGE_CHARACTERS, UNTOLD_CHARACTERS, Usage } from './usage.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const NOON = Date.parse('2026-11-29T12:00:00Z');
const DAY = 24 * 60 * 60 * 1000;
const shop = { clientKey: 'shop' };

let now: number;
let usage: Usage;

beforeEach(() => {
  now = NOON;
  usage = new Usage({ now: () => now });
});

/** All pages until one begins where the first began. */
function report() {
  const pages = [];
  const seen = new Map<string, unknown>();
  for (let count = 0; count < 1000; count += 1) {
    const page = usageReport.parse(usage.page());
    expect(JSON.stringify(page).length).toBeLessThan(PAGE_CHARACTERS + 2048);
    const entries = page.days.flatMap(({ date, environments }) =>
      environments.map((one) => [`${date} ${JSON.stringify(one.environment)}`, one] as const),
    );
    if (entries.every(([name]) => seen.has(name))) break;
    for (const [name, one] of entries) seen.set(name, one);
    pages.push(page);
  }
  return { pages, environments: seen };
}

describe('the usage counts', () => {
  it('separate writes and reads of each client, by environment', () => {
    const sketch = emptySketch();
    addMark(sketch, markOf('ada'));
    usage.note(shop, 'flagsmith-js-sdk/9.3.1', 'write', [markOf('ada')]);
    usage.note(shop, 'flagsmith-js-sdk/9.3.1', 'read');
    now += 1000;
    usage.note(shop, 'browser', 'read');
    usage.note({ environmentId: 7 }, 'curl', 'write');
    expect(usage.page()).toEqual({
      since: '2026-11-29T12:00:00.000Z',
      complete: true,
      days: [
        {
          date: '2026-11-29',
          environments: [
            {
              environment: shop,
              writes: 1,
              reads: 2,
              lastWrite: '2026-11-29T12:00:00.000Z',
              lastRead: '2026-11-29T12:00:01.000Z',
              identities: writeSketch(sketch),
              named: 1,
              clients: [
                ['flagsmith-js-sdk/9.3.1', 1, 1],
                ['browser', 0, 1],
              ],
            },
            {
              environment: { environmentId: 7 },
              writes: 1,
              reads: 0,
              lastWrite: '2026-11-29T12:00:01.000Z',
              lastRead: null,
              identities: writeSketch(emptySketch()),
              named: 0,
              clients: [['curl', 1, 0]],
            },
          ],
        },
      ],
    });
  });

  it('begin at zero each day (UTC), with the two days before kept', () => {
    for (let day = 0; day < 5; day += 1) {
      usage.note(shop, 'browser', 'write');
      now += DAY;
    }
    expect(usage.page().days.map(({ date, environments }) => [date, environments[0]?.writes])).toEqual([
      ['2026-12-01', 1],
      ['2026-12-02', 1],
      ['2026-12-03', 1],
    ]);
  });

  it('go on when the clock is set back by years', () => {
    usage.note(shop, 'browser', 'write');
    for (const days of [400, 800, 1200]) {
      now = NOON - days * DAY;
      usage.note(shop, 'browser', 'write');
      usage.note(shop, 'browser', 'write');
    }
    const { days } = usage.page();
    expect(days).toHaveLength(3);
    expect(days.find(({ date }) => date === new Date(now).toISOString().slice(0, 10))?.environments[0]?.writes).toBe(2);
  });

  it('come in pages that cycle through all environments', () => {
    for (let id = 1; id <= 500; id += 1) usage.note({ environmentId: id }, 'flagsmith-js-sdk/9.3.1', 'write');
    const { pages, environments } = report();
    expect(pages.length).toBeGreaterThan(10);
    expect(environments.size).toBe(500);
  });
});

it('contain no identifier, nor a hash of one', () => {
  usage.note(shop, 'browser', 'write', [markOf('ada@example.com')]);
  const text = JSON.stringify(usage.page());
  expect(text).not.toContain('ada');
  const sketch = JSON.parse(text).days[0].environments[0].identities as string;
  // One of 256 numbers, of which many names have the same.
  expect([...sketch].filter((character) => character !== 'A')).toHaveLength(1);
});

describe('the last usage report', () => {
  /** More than another report has room for. */
  const MANY = 8;
  const many = (kind: 'write' | 'read') => {
    for (let id = 1; id <= MANY; id += 1) usage.note({ environmentId: id }, 'flagsmith-js-sdk/9.3.1', kind);
  };
  const listed = () => usageReport.parse(usage.untold()).days.flatMap(({ environments }) => environments);

  it('has all counts since the previous report, and those that may not have been seen yet', () => {
    const tell = (pages: number) => {
      for (let count = 0; count < pages; count += 1) {
        usage.page();
        usage.confirm();
      }
    };
    many('write');
    tell(30);
    expect(listed()).toEqual([]);
    many('read');
    tell(1);
    expect(listed()).toHaveLength(MANY);
    expect(listed()[0]).toMatchObject({ writes: 1, reads: 1 });
    tell(1);
    expect(listed().length).toBeLessThan(MANY);
  });

  it('has the counts of a page that did not come through', () => {
    many('write');
    for (let count = 0; count < 30; count += 1) usage.page();
    expect(listed()).toHaveLength(MANY);
  });

  it('has names that came after their request was reported', () => {
    usage.note(shop, 'browser', 'write', [markOf('ada')]);
    for (let count = 0; count < 3; count += 1) {
      usage.page();
      usage.confirm();
    }
    expect(listed()).toEqual([]);
    usage.name(shop, [markOf('bob')]);
    expect(listed()).toMatchObject([{ writes: 1, named: 2 }]);
  });

  it('takes no more room than there is', () => {
    for (let id = 1; id <= MOST_ENVIRONMENTS; id += 1)
      usage.note({ environmentId: id }, 'flagsmith-js-sdk/9.3.1', 'write');
    expect(JSON.stringify(usage.untold()).length).toBeLessThan(UNTOLD_CHARACTERS + 2048);
    expect(listed().length).toBeGreaterThanOrEqual(MANY);
  });
});

describe('a hostile client in the usage counts', () => {
  const agentOf = (index: number) =>
    [
      `flagsmith-js-sdk/${index % 10_000}.${Math.floor(index / 10_000)}`,
      `agent ${index}`,
      `${index}/1 CFNetwork/1`,
      `flagsmith-python-sdk/${index}`,
    ][index % 4]!;

  it('takes only kilobytes with a million user agents, and hides no real client', () => {
    const field = (value: string) => ({ fields: [{ name: 'User-Agent', lower: 'user-agent', value }] });
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 1_000_000; index += 1) {
      usage.note(shop, nameClient(field(agentOf(index))), 'write');
      if (index % 100 === 0) usage.note(shop, 'flagsmith-java-sdk/8.1.1', 'write');
      if (index % 10_000 === 0) usage.note(shop, 'flagsmith-go-sdk/5.2.0', 'write');
    }
    collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2 * 1024 * 1024);
    const [day] = usageReport.parse(usage.page()).days;
    const { writes, clients } = day!.environments[0]!;
    expect(writes).toBe(1_010_100);
    expect(clients.reduce((sum, [, count]) => sum + count, 0)).toBe(writes);
    expect(clients.length).toBeLessThanOrEqual(21);
    expect(clients.find(([name]) => name === 'flagsmith-java-sdk/8.1.1')?.[1]).toBe(10_000);
    expect(clients.filter(([name]) => name.startsWith('flagsmith-go-sdk/'))).not.toEqual([]);
  });

  it('with keys for a million environments is counted only where there is room, and the report says so', () => {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let id = 1; id <= 1_000_000; id += 1) usage.note({ environmentId: id }, 'browser', 'read');
    collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 * 1024 * 1024);
    expect(usage.page().complete).toBe(false);
    expect(report().environments.size).toBe(MOST_ENVIRONMENTS);
  });

  it('with many versions in many environments is bounded in total', () => {
    for (let id = 1; id <= MOST_ENVIRONMENTS; id += 1) {
      for (let version = 0; version < 30; version += 1)
        usage.note({ environmentId: id }, `flagsmith-js-sdk/1.${version}`, 'write');
    }
    const all = [...report().environments.values()] as { writes: number; clients: unknown[] }[];
    expect(all.every(({ writes }) => writes === 30)).toBe(true);
    expect(all.reduce((sum, { clients }) => sum + clients.length, 0)).toBeLessThanOrEqual(MOST_CELLS + all.length);
  });
});
