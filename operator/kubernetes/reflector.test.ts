import { createLogger } from '@edge-migration/identity/logger.ts';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type KubernetesClient, type KubernetesObject } from './client.ts';
import { createReflector, type Reflector, type ReflectorSettings } from './reflector.ts';
import { type FakeApiServer, type ReceivedRequest, startFakeApiServer } from './testing/fake-api-server.ts';
import { createFakeClock, type FakeClock } from './testing/fake-clock.ts';
import { widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

interface Widget {
  name: string;
  uid: string;
  size: number;
}

let server: FakeApiServer;
let clock: FakeClock;
let client: KubernetesClient;
let registry: Registry;
let reflector: Reflector<Widget>;
let changes: string[];
let stop: AbortController;
let running: Promise<void>;

/** Of each request: far from all other times, so that what is pending tells what is going on. */
const LIMIT = 3_600_000;
const first = { namespace: 'default', name: 'first' };
const lists = ({ verb }: ReceivedRequest) => verb === 'list';
const watches = ({ verb }: ReceivedRequest) => verb === 'watch';
const received = (verb: string) => server.requests.filter((request) => request.verb === verb).length;

function parse({ metadata, spec }: KubernetesObject): Widget {
  const size = (spec as { size?: unknown }).size;
  if (typeof size !== 'number') throw new Error('size must be a number');
  return { name: metadata.name, uid: metadata.uid!, size };
}

beforeEach(async () => {
  server = await startFakeApiServer([widgets]);
  clock = createFakeClock();
  registry = new Registry();
  client = createClient({
    kubeConfig: server.kubeConfig(),
    clock,
    userAgent: 'test',
    timeoutMilliseconds: LIMIT,
    retries: 0,
  });
  changes = [];
  stop = new AbortController();
  running = Promise.resolve();
});

afterEach(async () => {
  stop.abort(new Error('test over'));
  await running;
  await client.close();
  expect(clock.pending()).toEqual([]);
  await server.stop();
});

function start(settings: Partial<ReflectorSettings<Widget>> = {}) {
  reflector = createReflector({
    client,
    resource: widgets,
    parse,
    clock,
    registry,
    logger: createLogger('test', 'silent'),
    random: () => 0.5,
    ...settings,
  });
  reflector.subscribe((change) => changes.push(`${change.type} ${change.key}`));
  running = reflector.run(stop.signal);
}

async function startSynced(settings: Partial<ReflectorSettings<Widget>> = {}) {
  start(settings);
  await reflector.synced;
  await until(() => server.watching() === (settings.namespaces?.length ?? 1));
}

const cached = () =>
  reflector
    .list()
    .map(({ name, size }) => `${name}=${size}`)
    .sort();

/** Waits until the loop backs off; the milliseconds. No request is under way then. */
async function backOff(): Promise<number> {
  await until(() => clock.pending().length === 1 && clock.pending()[0]! <= 15_000);
  return clock.pending()[0]!;
}

/** Passes whatever waits there are until the loop watches again. */
async function recover() {
  await until(() => server.watching() === 0);
  await until(async () => {
    if (clock.pending().length === 1 && clock.pending()[0]! <= 15_000) await retry();
    return server.watching() === 1;
  });
}

async function retry() {
  await clock.advance(await backOff());
}

describe('a reflector', () => {
  it('holds what was there before and follows every change', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    server.store.create(widgets, widget('second', { size: 2 }));
    server.store.merge(widgets, first, { spec: { size: 3 } });
    server.store.remove(widgets, { namespace: 'default', name: 'second' });
    await until(() => changes.length === 4);
    expect(changes).toEqual([
      'added default/first',
      'added default/second',
      'updated default/first',
      'deleted default/second',
    ]);
    expect(cached()).toEqual(['first=3']);
    expect(reflector.get('default/first')?.size).toBe(3);
  });

  it('is not synced before the first list is complete', async () => {
    server.fail(lists, { status: 500 }, 3);
    start();
    let synced = false;
    void reflector.synced.then(() => {
      synced = true;
    });
    for (let i = 0; i < 3; i++) await retry();
    await until(() => synced);
    expect(received('list')).toBe(4);
  });

  it('follows a list of namespaces and no other', async () => {
    for (const namespace of ['a', 'b', 'c']) server.store.create(widgets, widget('w', { size: 1 }, namespace));
    await startSynced({ namespaces: ['a', 'b'] });
    expect(changes.sort()).toEqual(['added a/w', 'added b/w']);
    server.store.remove(widgets, { namespace: 'a', name: 'w' });
    server.store.remove(widgets, { namespace: 'c', name: 'w' });
    await until(() => changes.length === 3);
    expect(reflector.list()).toHaveLength(1);
  });

  it('finds objects by index, as they change', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    server.store.create(widgets, widget('second', { size: 1 }));
    await startSynced({ indexes: { size: ({ size }) => [String(size)] } });
    server.store.merge(widgets, first, { spec: { size: 2 } });
    await until(() => changes.length === 3);
    expect(reflector.byIndex('size', '1').map(({ name }) => name)).toEqual(['second']);
    expect(reflector.byIndex('size', '2').map(({ name }) => name)).toEqual(['first']);
    server.store.remove(widgets, first);
    await until(() => changes.length === 4);
    expect(reflector.byIndex('size', '2')).toEqual([]);
  });
});

describe('an object that cannot be read', () => {
  it('is reported, and stops no other', async () => {
    server.store.create(widgets, widget('bad', { size: 'large' }));
    server.store.create(widgets, widget('good', { size: 1 }));
    await startSynced();
    expect(changes).toEqual(['unreadable default/bad', 'added default/good']);
    expect(reflector.get('default/bad')).toBeUndefined();
    expect(String(reflector.unreadable('default/bad')?.error)).toContain('size must be a number');
    server.store.merge(widgets, { namespace: 'default', name: 'bad' }, { spec: { size: 2 } });
    await until(() => changes.length === 3);
    expect(changes.at(-1)).toBe('updated default/bad');
    expect(reflector.unreadable('default/bad')).toBeUndefined();
  });

  it('is not mistaken for a deleted one when it was readable before', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    server.store.merge(widgets, first, { spec: { size: 'large' } });
    await until(() => changes.length === 2);
    expect(changes.at(-1)).toBe('unreadable default/first');
    server.store.remove(widgets, first);
    await until(() => changes.length === 3);
    expect(changes.at(-1)).toBe('deleted default/first');
  });
});

describe('a lost change', () => {
  it('is found by the periodic list, deletions too', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    server.store.create(widgets, widget('second', { size: 1 }));
    await startSynced({ timings: { inactivityMilliseconds: 10_000_000 } });
    server.dropEvents(3);
    server.store.merge(widgets, first, { spec: { size: 2 } });
    server.store.remove(widgets, { namespace: 'default', name: 'second' });
    server.store.create(widgets, widget('third', { size: 3 }));
    expect(server.requests.at(-1)?.query.get('timeoutSeconds')).toBe('360');
    await clock.advance(600_000);
    server.endWatches();
    await until(() => received('list') === 2 && changes.length === 5);
    expect(changes.slice(2)).toEqual(['deleted default/second', 'updated default/first', 'added default/third']);
  });

  it('of a deletion and re-creation under the same name shows both', async () => {
    const old = server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    server.dropEvents(1);
    server.store.remove(widgets, first);
    const recreated = server.store.create(widgets, widget('first', { size: 1 }));
    await until(() => changes.length === 3);
    expect(changes).toEqual(['added default/first', 'deleted default/first', 'added default/first']);
    expect(reflector.get('default/first')?.uid).toBe(recreated.metadata.uid);
    expect(recreated.metadata.uid).not.toBe(old.metadata.uid);
  });

  it('makes no noise where nothing changed', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    await clock.advance(1_000);
    await reflector.refresh(stop.signal);
    expect(changes).toEqual(['added default/first']);
  });
});

describe('a watch that ends', () => {
  it('in peace is continued from where it was, without a list', async () => {
    await startSynced();
    server.store.create(widgets, widget('first', { size: 1 }));
    await until(() => changes.length === 1);
    await clock.advance(2_000);
    server.endWatches();
    await until(() => received('watch') === 2);
    expect(server.requests.at(-1)?.query.get('resourceVersion')).toBe(server.store.version());
    expect(received('list')).toBe(1);
  });

  it('continues from the last bookmark on a quiet resource', async () => {
    await startSynced();
    server.dropEvents(1);
    server.store.create(widgets, widget('elsewhere', { size: 1 }));
    server.bookmark();
    await until(async () => (await registry.metrics()).includes('type="BOOKMARK"} 1'));
    server.endWatches();
    await until(() => received('watch') === 2);
    expect(server.requests.at(-1)?.query.get('resourceVersion')).toBe(server.store.version());
  });

  it('because its version is too old is followed by a list that finds what was missed', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    await clock.advance(2_000);
    server.fail(watches, 'reset');
    server.endWatches();
    await backOff();
    server.dropEvents(1);
    server.store.remove(widgets, first);
    server.store.compact();
    await recover();
    await until(() => changes.length === 2);
    expect(changes.at(-1)).toBe('deleted default/first');
  });

  it.each([
    ['{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n', 2],
    ['{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n', 2],
    ['{"type":"MODIFIED","obj', 1],
    ['not json\n', 1],
  ])('with %s recovers with %i lists in all', async (text, expected) => {
    await startSynced();
    server.writeToWatches(text);
    server.endWatches();
    await recover();
    server.store.create(widgets, widget('later', { size: 1 }));
    await until(() => changes.length === 1);
    expect(received('list')).toBe(expected);
  });

  it('without a word is noticed, and what it missed is found', async () => {
    await startSynced();
    server.silenceWatches();
    server.store.create(widgets, widget('missed', { size: 1 }));
    await clock.advance(149_999);
    expect(changes).toEqual([]);
    await clock.advance(1);
    server.heal();
    await retry();
    await until(() => changes.length === 1);
    expect(changes).toEqual(['added default/missed']);
  });

  it('at once, again and again, does not make a storm of requests', async () => {
    await startSynced();
    for (let i = 0; i < 8; i++) {
      server.endWatches();
      await retry();
      await until(() => server.watching() === 1);
    }
    expect(received('watch')).toBe(9);
  });
});

describe('an API server that is away', () => {
  it('is asked ever less often, up to half a minute, and found again', async () => {
    await startSynced();
    server.fail(() => true, { status: 503 }, 8);
    server.writeToWatches('x\n');
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      delays.push(await backOff());
      await clock.advance(delays[i]!);
    }
    expect(delays).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
    await retry();
    await until(() => server.watching() === 1);
    server.store.create(widgets, widget('later', { size: 1 }));
    await until(() => changes.length === 1);
  });

  it('starts with short waits again after a healthy while', async () => {
    await startSynced();
    for (let i = 0; i < 3; i++) {
      await clock.advance(31_000);
      server.writeToWatches('x\n');
      await until(() => clock.pending().includes(400));
      await clock.advance(400);
      await until(() => server.watching() === 1);
    }
  });

  it('for 30 minutes leaves the cache as it was, tells its age, and costs nothing but time', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    server.fail(() => true, { status: 503 }, Number.POSITIVE_INFINITY);
    server.writeToWatches('x\n');
    const end = clock.monotonic() + 30 * 60_000;
    while (clock.monotonic() < end) await retry();
    expect(cached()).toEqual(['first=1']);
    expect(reflector.confirmedAge()).toBeGreaterThanOrEqual(30 * 60_000);
    expect(await registry.metrics()).toMatch(/reflector_last_confirmed_age_seconds\{resource="widgets"\} 18\d\d/);
    server.heal();
    await retry();
    await until(() => server.watching() === 1);
    expect(reflector.confirmedAge()).toBeLessThanOrEqual(30_000);
  });

  it('or only the kind (its CRD) does not delete anything from the cache by itself', async () => {
    server.store.create(widgets, widget('first', { size: 1 }));
    await startSynced();
    server.serve(widgets, false);
    server.writeToWatches('x\n');
    for (let i = 0; i < 3; i++) await retry();
    expect(cached()).toEqual(['first=1']);
    server.serve(widgets, true);
    await retry();
    await until(() => server.watching() === 1);
  });
});

describe('a refresh', () => {
  it('resolves with a list that began after it was asked for', async () => {
    await startSynced();
    server.silenceWatches();
    server.store.create(widgets, widget('first', { size: 1 }));
    await clock.advance(1_000);
    await reflector.refresh(stop.signal);
    expect(cached()).toEqual(['first=1']);
    expect(reflector.listedAge()).toBe(0);
  });

  it('is shared by all who ask, at most one list a second', async () => {
    await startSynced();
    await clock.advance(1_000);
    await Promise.all(Array.from({ length: 50 }, () => reflector.refresh(stop.signal)));
    expect(received('list')).toBe(2);
    const soon = Promise.all(Array.from({ length: 50 }, () => reflector.refresh(stop.signal)));
    await clock.advance(999);
    expect(received('list')).toBe(2);
    await clock.advance(1);
    await soon;
    expect(received('list')).toBe(3);
  });

  it('is not satisfied by a list that was under way when it was asked for', async () => {
    server.fail(lists, 'hang');
    start();
    await until(() => received('list') === 1);
    let refreshed = false;
    void reflector.refresh(stop.signal).then(() => {
      refreshed = true;
    });
    await clock.advance(LIMIT);
    await retry();
    await until(() => refreshed);
    expect(received('list')).toBe(2);
  });

  it('gives up when its caller does', async () => {
    await startSynced();
    server.fail(lists, { status: 503 }, Number.POSITIVE_INFINITY);
    await expect(reflector.refresh(AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  });
});

it('a listener that throws harms neither the others nor the loop', async () => {
  await startSynced();
  const seen: string[] = [];
  reflector.subscribe(() => {
    throw new Error('listener');
  });
  reflector.subscribe(({ key }) => seen.push(key));
  server.store.create(widgets, widget('first', { size: 1 }));
  server.store.create(widgets, widget('second', { size: 1 }));
  await until(() => seen.length === 2);
});
