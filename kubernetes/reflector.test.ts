import { describe, expect, it } from 'vitest';
import type { ReceivedRequest } from './testing/fake-api-server.ts';
import { useReflector } from './testing/reflected.ts';
import { widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

const reflected = useReflector();
const { fake } = reflected;
const first = { namespace: 'default', name: 'first' };
const lists = ({ verb }: ReceivedRequest) => verb === 'list';

describe('a reflector', () => {
  it('a reflector holds the existing objects and follows every change', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    fake.server.store.create(widgets, widget('second', { size: 2 }));
    fake.server.store.merge(widgets, first, { spec: { size: 3 } });
    fake.server.store.remove(widgets, { namespace: 'default', name: 'second' });
    await until(() => reflected.changes.length === 4);
    expect(reflected.changes).toEqual([
      'added default/first',
      'added default/second',
      'updated default/first',
      'deleted default/second',
    ]);
    expect(reflected.cached()).toEqual(['first=3']);
    expect(reflected.reflector.get('default/first')?.size).toBe(3);
  });

  it('a reflector is not synced before the first list is complete', async () => {
    fake.server.fail(lists, { status: 500 }, 3);
    reflected.start();
    let synced = false;
    void reflected.reflector.synced.then(() => {
      synced = true;
    });
    for (let i = 0; i < 3; i++) await reflected.retry();
    await until(() => synced);
    expect(reflected.received('list')).toBe(4);
  });

  it('a reflector follows only the listed namespaces', async () => {
    for (const namespace of ['a', 'b', 'c']) fake.server.store.create(widgets, widget('w', { size: 1 }, namespace));
    await reflected.startSynced({ namespaces: ['a', 'b'] });
    expect(reflected.changes.sort()).toEqual(['added a/w', 'added b/w']);
    fake.server.store.remove(widgets, { namespace: 'a', name: 'w' });
    fake.server.store.remove(widgets, { namespace: 'c', name: 'w' });
    await until(() => reflected.changes.length === 3);
    expect(reflected.reflector.list()).toHaveLength(1);
  });

  it('a reflector finds objects by index, as they change', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    fake.server.store.create(widgets, widget('second', { size: 1 }));
    await reflected.startSynced({ indexes: { size: ({ size }) => [String(size)] } });
    fake.server.store.merge(widgets, first, { spec: { size: 2 } });
    await until(() => reflected.changes.length === 3);
    expect(reflected.reflector.byIndex('size', '1').map(({ name }) => name)).toEqual(['second']);
    expect(reflected.reflector.byIndex('size', '2').map(({ name }) => name)).toEqual(['first']);
    fake.server.store.remove(widgets, first);
    await until(() => reflected.changes.length === 4);
    expect(reflected.reflector.byIndex('size', '2')).toEqual([]);
  });
});

describe('an object that cannot be read', () => {
  it('an unreadable object is reported, and does not affect the others', async () => {
    fake.server.store.create(widgets, widget('bad', { size: 'large' }));
    fake.server.store.create(widgets, widget('good', { size: 1 }));
    await reflected.startSynced();
    expect(reflected.changes).toEqual(['unreadable default/bad', 'added default/good']);
    expect(reflected.reflector.get('default/bad')).toBeUndefined();
    expect(reflected.errors.map(String)).toEqual([expect.stringContaining('size must be a number')]);
    fake.server.store.merge(widgets, { namespace: 'default', name: 'bad' }, { spec: { size: 2 } });
    await until(() => reflected.changes.length === 3);
    expect(reflected.changes.at(-1)).toBe('updated default/bad');
    expect(reflected.reflector.get('default/bad')).toMatchObject({ size: 2 });
  });

  it('an unreadable object is not mistaken for a deleted one when it was readable before', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    fake.server.store.merge(widgets, first, { spec: { size: 'large' } });
    await until(() => reflected.changes.length === 2);
    expect(reflected.changes.at(-1)).toBe('unreadable default/first');
    fake.server.store.remove(widgets, first);
    await until(() => reflected.changes.length === 3);
    expect(reflected.changes.at(-1)).toBe('deleted default/first');
  });
});

describe('a lost change', () => {
  it('a lost change, even a deletion, is found by the periodic list', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    fake.server.store.create(widgets, widget('second', { size: 1 }));
    await reflected.startSynced({ timings: { inactivityMs: 10_000_000 } });
    fake.server.dropEvents(3);
    fake.server.store.merge(widgets, first, { spec: { size: 2 } });
    fake.server.store.remove(widgets, { namespace: 'default', name: 'second' });
    fake.server.store.create(widgets, widget('third', { size: 3 }));
    expect(fake.server.requests.at(-1)?.query.get('timeoutSeconds')).toBe('360');
    await fake.clock.advance(600_000);
    fake.server.endWatches();
    await until(() => reflected.received('list') === 2 && reflected.changes.length === 5);
    expect(reflected.changes.slice(2)).toEqual([
      'deleted default/second',
      'updated default/first',
      'added default/third',
    ]);
  });

  it('a lost deletion and re-creation under the same name is reported as both', async () => {
    const old = fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    fake.server.dropEvents(1);
    fake.server.store.remove(widgets, first);
    const recreated = fake.server.store.create(widgets, widget('first', { size: 1 }));
    await until(() => reflected.changes.length === 3);
    expect(reflected.changes).toEqual(['added default/first', 'deleted default/first', 'added default/first']);
    expect(reflected.reflector.get('default/first')?.uid).toBe(recreated.metadata.uid);
    expect(recreated.metadata.uid).not.toBe(old.metadata.uid);
  });

  it('a periodic list reports nothing where nothing has changed', async () => {
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await reflected.startSynced();
    await fake.clock.advance(1_000);
    await reflected.reflector.refresh(reflected.stop.signal);
    expect(reflected.changes).toEqual(['added default/first']);
  });
});

describe('a refresh', () => {
  it('a refresh resolves with a list that began after the call', async () => {
    await reflected.startSynced();
    fake.server.silenceWatches();
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    await fake.clock.advance(1_000);
    await reflected.reflector.refresh(reflected.stop.signal);
    expect(reflected.cached()).toEqual(['first=1']);
    expect(reflected.reflector.listedAge()).toBe(0);
  });

  it('a refresh is shared by all callers, with at most one list a second', async () => {
    await reflected.startSynced();
    await fake.clock.advance(1_000);
    await Promise.all(Array.from({ length: 50 }, () => reflected.reflector.refresh(reflected.stop.signal)));
    expect(reflected.received('list')).toBe(2);
    const soon = Promise.all(Array.from({ length: 50 }, () => reflected.reflector.refresh(reflected.stop.signal)));
    await fake.clock.advance(999);
    expect(reflected.received('list')).toBe(2);
    await fake.clock.advance(1);
    await soon;
    expect(reflected.received('list')).toBe(3);
  });

  it('a refresh is not satisfied by a list that was already running at the call', async () => {
    const answer = Promise.withResolvers<void>();
    fake.server.fail(lists, { after: answer.promise });
    reflected.start();
    await until(() => reflected.received('list') === 1);
    fake.server.store.create(widgets, widget('first', { size: 1 }));
    let refreshed = false;
    const refreshing = reflected.reflector.refresh(reflected.stop.signal).then(() => {
      refreshed = true;
    });
    answer.resolve();
    await reflected.reflector.synced;
    await fake.clock.advance(999);
    expect(refreshed).toBe(false);
    await fake.clock.advance(1);
    await refreshing;
    expect([reflected.received('list'), reflected.cached()]).toEqual([2, ['first=1']]);
  });

  it('a refresh ends when its caller aborts', async () => {
    await reflected.startSynced();
    fake.server.fail(lists, { status: 503 }, Number.POSITIVE_INFINITY);
    await expect(reflected.reflector.refresh(AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  });
});

it('a listener that throws affects neither the others nor the loop', async () => {
  await reflected.startSynced();
  const seen: string[] = [];
  reflected.reflector.subscribe(() => {
    throw new Error('listener');
  });
  reflected.reflector.subscribe(({ key }) => seen.push(key));
  fake.server.store.create(widgets, widget('first', { size: 1 }));
  fake.server.store.create(widgets, widget('second', { size: 1 }));
  await until(() => seen.length === 2);
});

it('the cache of a suspended machine is not fresh, although its monotonic clock stopped', async () => {
  await reflected.startSynced();
  fake.clock.skew(60_000);
  expect(reflected.reflector.confirmedAge()).toBeGreaterThanOrEqual(60_000);
});
