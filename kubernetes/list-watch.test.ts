import { describe, expect, it } from 'vitest';
import type { ReceivedRequest } from './testing/fake-api-server.ts';
import { useReflector } from './testing/reflected.ts';
import { widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

const reflected = useReflector();
const { fake } = reflected;
const first = { namespace: 'default', name: 'first' };
const watches = ({ verb }: ReceivedRequest) => verb === 'watch';

describe('a watch that ends', () => {
  it('a watch that ends normally is continued from its last version, without a list', async () => {
    await reflected.startSynced();
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await until(() => reflected.changes.length === 1);
    await fake.clock.advance(2_000);
    fake.server.endWatches();
    await until(() => reflected.received('watch') === 2);
    expect(fake.server.requests.at(-1)?.query.get('resourceVersion')).toBe(fake.server.store.version());
    expect(reflected.received('list')).toBe(1);
  });

  it('a watch continues from the last bookmark on a quiet resource', async () => {
    await reflected.startSynced();
    fake.server.dropEvents(1);
    fake.server.store.create(widgets, widget('elsewhere', { size: 1 }));
    fake.server.bookmark();
    await until(async () => (await fake.registry.metrics()).includes('type="BOOKMARK"} 1'));
    fake.server.endWatches();
    await until(() => reflected.received('watch') === 2);
    expect(fake.server.requests.at(-1)?.query.get('resourceVersion')).toBe(fake.server.store.version());
  });

  it('a watch that ends because its version is too old is followed by a list that finds missed changes', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    await fake.clock.advance(2_000);
    fake.server.fail(watches, 'reset');
    fake.server.endWatches();
    await reflected.backOff();
    fake.server.dropEvents(1);
    fake.server.store.remove(widgets, first);
    fake.server.store.compact();
    await reflected.recover();
    await until(() => reflected.changes.length === 2);
    expect(reflected.changes.at(-1)).toBe('deleted default/first');
  });

  it.each([
    ['{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n', 2],
    ['{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n', 2],
    ['{"type":"MODIFIED","obj', 1],
    ['not json\n', 1],
  ])('a watch that ends with %s recovers with %i lists in all', async (text, expected) => {
    await reflected.startSynced();
    fake.server.writeToWatches(text);
    fake.server.endWatches();
    await reflected.recover();
    fake.server.store.create(widgets, widget('later', { size: 1 }));
    await until(() => reflected.changes.length === 1);
    expect(reflected.received('list')).toBe(expected);
  });

  it('a watch whose version is too old, and no other, reports how long changes may have been missed', async () => {
    const blind: number[] = [];
    await reflected.startSynced({ onBlind: (milliseconds) => blind.push(milliseconds) });
    await fake.clock.advance(2_000);
    fake.server.endWatches();
    await until(() => reflected.received('watch') === 2);
    expect(blind).toEqual([]);
    await fake.clock.advance(60_000);
    const heard = fake.clock.monotonic();
    fake.server.fail(watches, 'reset');
    fake.server.endWatches();
    await reflected.backOff();
    fake.server.store.compact();
    await reflected.recover();
    await until(() => reflected.received('list') === 2);
    expect(blind).toEqual([fake.clock.monotonic() - heard]);
    expect(blind[0]).toBeGreaterThan(0);
  });

  it('a watch that broke also reports that time if a list is due before it can continue', async () => {
    const blind: number[] = [];
    await reflected.startSynced({ onBlind: (milliseconds) => blind.push(milliseconds) });
    await fake.clock.advance(2_000);
    fake.server.bookmark();
    await until(async () => (await fake.registry.metrics()).includes('type="BOOKMARK"} 1'));
    fake.server.fail(() => true, 'reset', Number.POSITIVE_INFINITY);
    fake.server.writeToWatches('x\n');
    const end = fake.clock.monotonic() + 30 * 60_000;
    while (fake.clock.monotonic() < end) await reflected.retry();
    fake.server.heal();
    await reflected.retry();
    await until(() => fake.server.watching() === 1);
    expect(blind).toEqual([fake.clock.monotonic() - 2_000]);
  });

  it('a watch whose version is too old causes no wait the first time', async () => {
    await reflected.startSynced();
    await fake.clock.advance(2_000);
    fake.server.store.compact();
    fake.server.endWatches();
    await until(() => reflected.received('list') === 2);
    await until(() => fake.server.watching() === 1);
    expect(fake.clock.monotonic()).toBe(2_000);
  });

  it('a watch that the API server fails to end is replaced by the periodic list', async () => {
    await reflected.startSynced();
    for (let minute = 0; minute < 10; minute++) {
      expect(reflected.received('list')).toBe(1);
      await fake.clock.advance(60_000);
      fake.server.bookmark();
    }
    await until(() => reflected.received('list') === 2);
  });

  it('a silent watch is detected, and the changes that it missed are found', async () => {
    await reflected.startSynced();
    fake.server.silenceWatches();
    fake.server.store.create(widgets, widget('missed', { size: 1 }));
    await fake.clock.advance(149_999);
    expect(reflected.changes).toEqual([]);
    await fake.clock.advance(1);
    fake.server.heal();
    await reflected.retry();
    await until(() => reflected.changes.length === 1);
    expect(reflected.changes).toEqual(['added default/missed']);
  });

  it('a watch that repeatedly ends at once does not cause a storm of requests', async () => {
    await reflected.startSynced();
    for (let i = 0; i < 8; i++) {
      fake.server.endWatches();
      await reflected.retry();
      await until(() => fake.server.watching() === 1);
    }
    expect(reflected.received('watch')).toBe(9);
  });
});

describe('an API server that is away', () => {
  it('an absent API server is asked ever less often, down to every half minute, and found again', async () => {
    await reflected.startSynced();
    fake.server.fail(() => true, { status: 503 }, 8);
    fake.server.writeToWatches('x\n');
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      delays.push(await reflected.backOff());
      await fake.clock.advance(delays[i]!);
    }
    expect(delays).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
    await reflected.retry();
    await until(() => fake.server.watching() === 1);
    fake.server.store.create(widgets, widget('later', { size: 1 }));
    await until(() => reflected.changes.length === 1);
  });

  it('retries start with short waits again after a healthy period', async () => {
    await reflected.startSynced();
    for (let i = 0; i < 3; i++) {
      await fake.clock.advance(31_000);
      fake.server.writeToWatches('x\n');
      await until(() => fake.clock.pending().includes(400));
      await fake.clock.advance(400);
      await until(() => fake.server.watching() === 1);
    }
  });

  it('an API server absent for 30 minutes leaves the cache as it was, with its age, and costs only time', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    fake.server.fail(() => true, { status: 503 }, Number.POSITIVE_INFINITY);
    fake.server.writeToWatches('x\n');
    const end = fake.clock.monotonic() + 30 * 60_000;
    while (fake.clock.monotonic() < end) await reflected.retry();
    expect(reflected.cached()).toEqual(['first=1']);
    expect(reflected.reflector.confirmedAge()).toBeGreaterThanOrEqual(30 * 60_000);
    expect(await fake.registry.metrics()).toMatch(/reflector_last_confirmed_age_seconds\{resource="widgets"\} 18\d\d/);
    fake.server.heal();
    await reflected.retry();
    await until(() => fake.server.watching() === 1);
    expect(reflected.reflector.confirmedAge()).toBeLessThanOrEqual(30_000);
  });

  it('an absent API server or kind (its CRD) does not by itself delete anything from the cache', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    fake.server.serve(widgets, false);
    fake.server.writeToWatches('x\n');
    for (let i = 0; i < 3; i++) await reflected.retry();
    expect(reflected.cached()).toEqual(['first=1']);
    fake.server.serve(widgets, true);
    await reflected.retry();
    await until(() => fake.server.watching() === 1);
  });
});
