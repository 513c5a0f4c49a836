import { createLogger } from '@edge-migration/runtime/logger.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KubernetesObject } from './client.ts';
import {
  type ControllerSettings,
  createController,
  mappedSourceOf,
  type Reconcile,
  type Source,
  sourceOf,
} from './controller.ts';
import { ConflictError, responseError, TerminalError } from './errors.ts';
import { createReflector, type Reflector } from './reflector.ts';
import { useFake } from './testing/fake.ts';
import { leases, widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

const fake = useFake([widgets, leases]);
let stop: AbortController;
let running: Promise<unknown>[];
let seen: string[];

const logger = createLogger('test', 'silent');
const first = { namespace: 'default', name: 'first' };

beforeEach(() => {
  stop = new AbortController();
  running = [];
  seen = [];
});

afterEach(async () => {
  stop.abort(new Error('test over'));
  await Promise.all(running);
});

function reflect(resource = widgets): Reflector<KubernetesObject> {
  const reflector = createReflector({ ...fake, resource, parse: (object) => object, logger });
  running.push(reflector.run(stop.signal));
  return reflector;
}

/** Starts a controller, which also reconciles the keys that a test hands in. */
function start(reconcile: Reconcile, { sources = [], ...settings }: Partial<ControllerSettings> = {}) {
  const added = new Set<(key: string) => void>();
  const byHand: Source = {
    synced: Promise.resolve(),
    keys: () => [],
    subscribe: (add) => {
      added.add(add);
      return () => added.delete(add);
    },
  };
  const controller = createController({
    name: 'widget',
    sources: [...sources, byHand],
    clock: fake.clock,
    logger,
    registry: fake.registry,
    reconcile: (key, context) => {
      seen.push(key);
      return reconcile(key, context);
    },
    ...settings,
  });
  running.push(controller.run(stop.signal));
  return { enqueue: (key: string) => added.forEach((add) => void add(key)) };
}

const nothing: Reconcile = async () => undefined;

describe('a controller', () => {
  it('a controller reconciles existing objects, then changed ones', async () => {
    fake.server.store.create(widgets, widget('first'));
    start(nothing, { sources: [sourceOf(reflect())] });
    await until(() => seen.length === 1);
    fake.server.store.create(widgets, widget('second'));
    await until(() => seen.length === 2);
    fake.server.store.remove(widgets, first);
    await until(() => seen.length === 3);
    expect(seen).toEqual(['default/first', 'default/second', 'default/first']);
  });

  it('a controller reconciles nothing before every cache is synced', async () => {
    fake.server.store.create(widgets, widget('first'));
    fake.server.fail(({ verb, resource }) => verb === 'list' && resource === leases, 'hang');
    const own = reflect();
    start(nothing, { sources: [sourceOf(own), mappedSourceOf(reflect(leases), () => [])] });
    await own.synced;
    await until(() => fake.server.requests.some(({ resource }) => resource === leases));
    expect(seen).toEqual([]);
    await fake.clock.advance(35_000);
    await until(() => seen.length === 1);
  });

  it('a controller reconciles an object’s previous and present owners', async () => {
    const owned = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'default', name: 'l' },
      spec: { owner: 'a' },
    };
    fake.server.store.create(leases, owned);
    const ownerOf = (object: KubernetesObject) => [`default/${(object['spec'] as { owner: string }).owner}`];
    start(nothing, { sources: [mappedSourceOf(reflect(leases), ownerOf)] });
    await until(() => seen.length === 1);
    fake.server.store.merge(leases, { namespace: 'default', name: 'l' }, { spec: { owner: 'b' } });
    await until(() => seen.length === 3);
    fake.server.store.remove(leases, { namespace: 'default', name: 'l' });
    await until(() => seen.length === 4);
    expect(seen).toEqual(['default/a', 'default/a', 'default/b', 'default/b']);
  });

  it('a controller works on several keys at a time, but never twice on one', async () => {
    const working = new Map<string, number>();
    let most = 0;
    const gate = Promise.withResolvers<undefined>();
    const controller = start(
      async (key) => {
        working.set(key, (working.get(key) ?? 0) + 1);
        expect(working.get(key)).toBe(1);
        most = Math.max(most, working.size);
        await gate.promise;
        working.delete(key);
        return undefined;
      },
      { workers: 3 },
    );
    for (const key of ['a', 'b', 'c', 'd', 'a', 'b']) controller.enqueue(key);
    await until(() => working.size === 3);
    controller.enqueue('a');
    gate.resolve(undefined);
    await until(() => seen.length === 5);
    expect([seen, most]).toEqual([['a', 'b', 'c', 'd', 'a'], 3]);
  });
});

describe('after a reconcile', () => {
  it('a reconcile that succeeds is not repeated', async () => {
    start(nothing).enqueue('a');
    await until(() => seen.length === 1);
    await fake.clock.advance(10_000_000);
    expect(seen).toEqual(['a']);
  });

  it('a reconcile is repeated at the time that it asks for', async () => {
    start(async () => ({ requeueAfterMs: 5_000 })).enqueue('a');
    await until(() => fake.clock.pending()[0] === 5_000);
    await fake.clock.advance(15_000);
    expect(seen).toHaveLength(4);
  });

  it('a failed reconcile is repeated with growing delays, which start over after a success', async () => {
    let failing = true;
    const controller = start(async () => {
      if (failing) throw new Error('broken');
      return undefined;
    });
    controller.enqueue('a');
    const delays: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      await until(() => fake.clock.pending().length === 1);
      delays.push(fake.clock.pending()[0]);
      if (i === 2) failing = false;
      await fake.clock.advance(delays[i]!);
      if (i === 2) {
        await until(() => fake.clock.pending().length === 0);
        failing = true;
        controller.enqueue('a');
      }
    }
    expect(delays).toEqual([5, 10, 20, 5]);
  });

  it('a reconcile that asks to be repeated resets earlier failures', async () => {
    const outcomes = ['fail', 'fail', 'later', 'fail'];
    start(async () => {
      if (outcomes.shift() === 'fail') throw new Error('broken');
      return { requeueAfterMs: 5_000 };
    }).enqueue('a');
    const delays: number[] = [];
    for (let i = 0; i < 4; i++) {
      await until(() => fake.clock.pending().length === 1);
      delays.push(fake.clock.pending()[0]!);
      await fake.clock.advance(delays[i]!);
    }
    expect(delays).toEqual([5, 10, 5_000, 5]);
  });

  it('a reconcile that fails because the API server is busy waits as long as that asks', async () => {
    start(async () => {
      throw responseError('list widgets', 429, undefined, 60_000);
    }).enqueue('a');
    await until(() => fake.clock.pending()[0] === 60_000);
  });

  it('a reconcile that fails with a Retry-After of zero is still repeated with growing delays', async () => {
    start(async () => {
      throw responseError('list widgets', 503, undefined, 0);
    }).enqueue('a');
    const delays: (number | undefined)[] = [];
    for (let round = 0; round < 4; round++) {
      await until(() => fake.clock.pending().length === 1);
      delays.push(fake.clock.pending()[0]);
      await fake.clock.advance(delays.at(-1)!);
    }
    expect(delays).toEqual([5, 10, 20, 40]);
  });

  it('a reconcile that is asked to wait for a year is repeated after the longest delay', async () => {
    const backoff = { firstMs: 5, longestMs: 60_000 };
    start(
      async () => {
        throw responseError('list widgets', 503, undefined, 31_536_000_000);
      },
      { queue: { backoff } },
    ).enqueue('a');
    await until(() => fake.clock.pending()[0] === 60_000);
  });

  it('a reconcile that fails permanently is not repeated before a change', async () => {
    const controller = start(async () => {
      throw new TerminalError('never');
    });
    controller.enqueue('a');
    await until(() => seen.length === 1);
    await fake.clock.advance(10_000_000);
    expect(seen).toHaveLength(1);
    controller.enqueue('a');
    await until(() => seen.length === 2);
  });

  it.each([new TypeError('undefined is not a function'), 'a string', undefined])(
    'a reconcile that throws %o does not affect the others',
    async (thrown) => {
      const controller = start(async (key) => {
        if (key === 'bad') throw thrown;
        return undefined;
      });
      controller.enqueue('bad');
      controller.enqueue('good');
      await until(() => seen.includes('good'));
      await until(() => fake.clock.pending().length === 1);
      expect(await fake.registry.metrics()).toContain(
        'controller_runtime_reconcile_panics_total{controller="widget"} 1',
      );
    },
  );

  it('a reconcile that takes too long is aborted by its signal and counts as failed', async () => {
    start(
      (_key, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      {
        timeoutMs: 60_000,
      },
    ).enqueue('a');
    await until(() => fake.clock.pending()[0] === 60_000);
    await fake.clock.advance(60_005);
    await until(() => seen.length === 2);
  });
});

describe('stopping', () => {
  it('stopping aborts the running reconcile, waits for its end and starts no other', async () => {
    const cleanup = Promise.withResolvers<void>();
    let aborted = false;
    const controller = start(async (_, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      aborted = true;
      await cleanup.promise;
      throw signal.reason;
    });
    controller.enqueue('a');
    controller.enqueue('b');
    await until(() => seen.length === 1);
    let stopped = false;
    void running[0]?.then(() => {
      stopped = true;
    });
    stop.abort(new Error('shutting down'));
    await until(() => aborted);
    expect(stopped).toBe(false);
    cleanup.resolve();
    await until(() => stopped);
    expect(seen).toEqual(['a']);
    expect(await fake.registry.metrics()).toContain('controller_runtime_reconcile_errors_total{controller="widget"} 0');
  });

  it('stopping works before the caches are synced', async () => {
    fake.server.fail(({ verb }) => verb === 'list', 'hang');
    start(nothing, { sources: [sourceOf(reflect())] });
    await until(() => fake.server.requests.length === 1);
    stop.abort(new Error('shutting down'));
    await Promise.all(running);
  });
});

describe('metrics', () => {
  it('the metrics have a zero for every series from the start', async () => {
    start(nothing);
    const text = await fake.registry.metrics();
    for (const series of [
      'controller_runtime_reconcile_total{controller="widget",result="success"} 0',
      'controller_runtime_reconcile_total{controller="widget",result="requeue_after"} 0',
      'controller_runtime_reconcile_total{controller="widget",result="error"} 0',
      'controller_runtime_reconcile_errors_total{controller="widget"} 0',
      'controller_runtime_terminal_reconcile_errors_total{controller="widget"} 0',
      'controller_runtime_reconcile_time_seconds_count{controller="widget"} 0',
      'controller_runtime_max_concurrent_reconciles{controller="widget"} 1',
      'controller_runtime_active_workers{controller="widget"} 0',
      'workqueue_depth{name="widget"} 0',
      'workqueue_adds_total{name="widget"} 0',
      'workqueue_retries_total{name="widget"} 0',
    ]) {
      expect(text).toContain(series);
    }
  });

  it('the metrics count reconciles by result', async () => {
    const results: Record<string, () => Promise<undefined | { requeueAfterMs: number }>> = {
      success: async () => undefined,
      later: async () => ({ requeueAfterMs: 1_000_000 }),
      conflict: () =>
        Promise.reject(new ConflictError('changed', { status: 409, reason: 'Conflict', disposition: 'conflict' })),
      terminal: () => Promise.reject(new TerminalError('never')),
    };
    const controller = start((key) => results[key]!());
    for (const key of Object.keys(results)) controller.enqueue(key);
    await until(() => seen.length === 4);
    await until(() => fake.clock.pending().length === 2);
    const text = await fake.registry.metrics();
    expect(text).toContain('reconcile_total{controller="widget",result="success"} 1');
    expect(text).toContain('reconcile_total{controller="widget",result="requeue_after"} 1');
    expect(text).toContain('reconcile_total{controller="widget",result="error"} 2');
    expect(text).toContain('controller_runtime_reconcile_errors_total{controller="widget"} 2');
    expect(text).toContain('controller_runtime_terminal_reconcile_errors_total{controller="widget"} 1');
    expect(text).toContain('controller_runtime_reconcile_time_seconds_count{controller="widget"} 4');
  });
});
