import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubernetesObject, Resource } from './client.ts';
import { EventRecorder } from './event-recorder.ts';
import { LeaderElection, type Leadership } from './leader-election.ts';
import { createReflector } from './reflector.ts';
import {
  apiVersionOf,
  configMaps,
  customResourceDefinitions,
  enterWithWidgets,
  installWidgets,
} from './testing/real-api-server.ts';
import { events, leases } from './testing/resources.ts';
import { until } from './testing/until.ts';

const logger = createLogger('test', 'silent');

let real: Awaited<ReturnType<typeof enterWithWidgets>>;

beforeAll(async () => {
  real = await enterWithWidgets();
});

afterAll(() => real.leave());

describe('a reflector', () => {
  function reflect(resource: Resource) {
    const changes: string[] = [];
    const stop = new AbortController();
    const reflector = createReflector({
      client: real.client,
      resource,
      namespaces: [real.namespace],
      labelSelector: 'reflected=yes',
      parse: ({ metadata }) => metadata.name,
      clock: systemClock,
      logger,
      timings: { backoff: { firstMs: 20, longestMs: 200 } },
    });
    reflector.subscribe(({ type, key }) => changes.push(`${type} ${key.split('/')[1]}`));
    const running = reflector.run(stop.signal);
    const end = () => {
      stop.abort(new Error('test over'));
      return running;
    };
    return { reflector, changes, end };
  }

  const labelled = (object: KubernetesObject) => ({
    ...object,
    metadata: { ...object.metadata, labels: { reflected: 'yes' } },
  });

  it('a reflector follows creations, changes, added and removed labels, and deletions', async () => {
    const { reflector, changes, end } = reflect(configMaps);
    await reflector.synced;
    await real.client.create(configMaps, labelled(real.configMap('seen')));
    await real.client.create(configMaps, real.configMap('unseen'));
    await real.client.patch(configMaps, real.at('seen'), { data: { a: 'b' } });
    await real.client.patch(configMaps, real.at('seen'), { metadata: { labels: { reflected: null } } });
    await real.client.patch(configMaps, real.at('unseen'), { metadata: { labels: { reflected: 'yes' } } });
    await real.client.delete(configMaps, real.at('unseen'));
    await until(() => changes.length === 5);
    expect(changes).toEqual(['added seen', 'updated seen', 'deleted seen', 'added unseen', 'deleted unseen']);
    await reflector.refresh(AbortSignal.timeout(120_000));
    expect(changes).toHaveLength(5);
    await end();
  });

  it('a reflector finds a kind again whose CRD was removed and restored', async () => {
    const gadgets = await installWidgets(real.client, `gone.${real.namespace}.example.com`);
    const gadget = (name: string) =>
      labelled({ apiVersion: apiVersionOf(gadgets), kind: 'Widget', metadata: real.at(name) });
    await real.client.create(gadgets, gadget('first'));
    const { reflector, changes, end } = reflect(gadgets);
    await reflector.synced;
    const name = `widgets.${gadgets.group}`;
    await real.client.delete(customResourceDefinitions, { name });
    await until(async () => (await real.client.get(customResourceDefinitions, { name })) === undefined);
    await installWidgets(real.client, gadgets.group);
    await real.client.create(gadgets, gadget('second'));
    await until(() => changes.includes('added second'));
    expect(changes).toEqual(['added first', 'deleted first', 'added second']);
    await end();
    await real.client.delete(customResourceDefinitions, { name });
  });
});

describe('leader election', () => {
  it('a lease is accepted by the API server, renewed, handed over and recorded with microseconds', async () => {
    const stand = (identity: string) => {
      const stop = new AbortController();
      const elected = Promise.withResolvers<Leadership>();
      const election = new LeaderElection({
        ...{ client: real.client, clock: systemClock, logger, identity },
        ...real.at('election'),
        // Longer than a busy machine stands still.
        leaseDurationMs: 60_000,
        renewDeadlineMs: 45_000,
        retryPeriodMs: 200,
      });
      const running = election.run(stop.signal, async (leadership) => {
        elected.resolve(leadership);
        await new Promise((resolve) => leadership.signal.addEventListener('abort', resolve, { once: true }));
      });
      return { stop: () => stop.abort(new Error('test over')), elected: elected.promise, running };
    };
    const spec = async () => (await real.client.get(leases, real.at('election')))?.['spec'] as Record<string, unknown>;

    const first = stand('first');
    expect((await first.elected).epoch).toBe(0);
    const { renewTime, acquireTime } = await spec();
    expect(renewTime).toMatch(/\.\d{6}Z$/);
    await until(async () => (await spec())['renewTime'] !== renewTime);
    expect((await spec())['acquireTime']).toBe(acquireTime);

    const second = stand('second');
    first.stop();
    expect((await second.elected).epoch).toBe(1);
    expect(await spec()).toMatchObject({ holderIdentity: 'second', leaseDurationSeconds: 60 });
    second.stop();
    await Promise.all([first.running, second.running]);
    expect(await spec()).not.toHaveProperty('holderIdentity');
  });
});

describe('the event recorder', () => {
  it('the event recorder writes events and series that the API server accepts', async () => {
    const registry = new Registry();
    const recorder = new EventRecorder({
      ...{ client: real.client, clock: systemClock, logger, registry },
      reportingController: 'example.com/operator',
      reportingInstance: 'operator-1',
    });
    const stop = new AbortController();
    const running = recorder.run(stop.signal);
    const regarding = await real.client.create(real.widgets, real.widget('eventful'));
    const event = { type: 'Warning' as const, reason: 'Slow', action: 'Copy', note: 'It takes long', regarding };
    recorder.record(event);
    const recorded = async () => (await real.client.list(events, { namespace: real.namespace })).items;
    await until(async () => (await recorded()).length === 1);
    for (let i = 0; i < 4; i++) recorder.record(event);
    stop.abort(new Error('test over'));
    await running;
    expect(await recorded()).toMatchObject([
      { note: 'It takes long', series: { count: 5 }, regarding: { uid: regarding.metadata.uid } },
    ]);
    expect(await registry.metrics()).toContain('event_recorder_events_total{result="sent"} 2');
  });
});
