import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type KubernetesObject, type Resource } from './client.ts';
import {
  AlreadyExistsError,
  ConflictError,
  ForbiddenError,
  GoneError,
  InvalidError,
  NotFoundError,
  UnauthorizedError,
} from './errors.ts';
import { createEventRecorder } from './event-recorder.ts';
import { createLeaderElection, type Leadership } from './leader-election.ts';
import { createReflector } from './reflector.ts';
import {
  configMaps,
  customResourceDefinitions,
  enterRealApiServer,
  installWidgets,
  roleBindings,
  roles,
  serviceAccounts,
} from './testing/real-api-server.ts';
import { events, leases } from './testing/resources.ts';
import { until } from './testing/until.ts';

let real: Awaited<ReturnType<typeof enterRealApiServer>>;
let widgets: Resource;
const logger = createLogger('test', 'silent');

beforeAll(async () => {
  real = await enterRealApiServer();
  widgets = await installWidgets(real.client, `${real.namespace}.example.com`);
});

afterAll(async () => {
  await real.client.delete(customResourceDefinitions, { name: `widgets.${widgets.group}` });
  await real.leave();
});

const apiVersionOf = (resource: Resource) => `${resource.group}/${resource.version}`;
const at = (name: string) => ({ namespace: real.namespace, name });

function widget(name: string, fields: Record<string, unknown> = {}): KubernetesObject {
  return { apiVersion: apiVersionOf(widgets), kind: 'Widget', metadata: at(name), ...fields };
}

function configMap(name: string, data: Record<string, string> = {}): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: at(name), data };
}

describe('server-side apply', () => {
  it('creates, changes, and does nothing when nothing is different', async () => {
    const options = { fieldManager: 'operator', force: true };
    const created = await real.client.apply(widgets, widget('applied', { spec: { size: 1 } }), options);
    const changed = await real.client.apply(widgets, widget('applied', { spec: { size: 2 } }), options);
    const again = await real.client.apply(widgets, widget('applied', { spec: { size: 2 } }), options);
    expect([created, changed].map(({ metadata }) => metadata.generation)).toEqual([1, 2]);
    expect(again.metadata.resourceVersion).toBe(changed.metadata.resourceVersion);
  });

  it('writes the status and not the spec through its subresource', async () => {
    await real.client.create(widgets, widget('status', { spec: { size: 1 } }));
    const condition = (type: string, status: string) => ({ type, status });
    const apply = (conditions: object[]) =>
      real.client.apply(widgets, widget('status', { spec: { size: 9 }, status: { phase: 'Ready', conditions } }), {
        fieldManager: 'operator',
        force: true,
        subresource: 'status',
      });
    const first = await apply([condition('A', 'True'), condition('B', 'Unknown')]);
    expect(first).toMatchObject({ spec: { size: 1 }, status: { phase: 'Ready' }, metadata: { generation: 1 } });
    const second = await apply([condition('A', 'False')]);
    // What one manager leaves out of its own is removed.
    expect(second['status']).toEqual({ phase: 'Ready', conditions: [condition('A', 'False')] });
  });

  it('meets a conflict with another manager, which force decides', async () => {
    await real.client.apply(widgets, widget('shared', { spec: { size: 1 } }), { fieldManager: 'one' });
    const other = (force: boolean) =>
      real.client.apply(widgets, widget('shared', { spec: { size: 2 } }), { fieldManager: 'two', force });
    await expect(other(false)).rejects.toThrow(ConflictError);
    await expect(other(false)).rejects.toThrow(
      /apply widgets .*\/shared: Conflict \(409\): Apply failed with 1 conflict/,
    );
    expect(await other(true)).toMatchObject({ spec: { size: 2 } });
  });

  it('on the uid of a predecessor is a conflict', async () => {
    const options = { fieldManager: 'operator', force: true };
    await real.client.create(widgets, widget('successor'));
    for (const name of ['successor', 'gone']) {
      const stale = widget(name, { spec: { size: 3 } });
      stale.metadata.uid = randomUUID();
      await expect(real.client.apply(widgets, stale, options)).rejects.toThrow(ConflictError);
    }
  });

  it('of a status is kept from a successor by its resourceVersion alone: the uid is ignored there', async () => {
    const options = { fieldManager: 'operator', force: true, subresource: 'status' };
    const old = await real.client.create(widgets, widget('reborn'));
    await real.client.delete(widgets, at('reborn'), { uid: old.metadata.uid });
    const reborn = await real.client.create(widgets, widget('reborn'));
    const status = (metadata: object) => ({
      ...widget('reborn', { status: { phase: 'Old' } }),
      metadata: { ...at('reborn'), ...metadata },
    });
    const { resourceVersion, uid } = old.metadata;
    await expect(real.client.apply(widgets, status({ resourceVersion }), options)).rejects.toThrow(ConflictError);
    expect(await real.client.apply(widgets, status({ uid }), options)).toMatchObject({
      metadata: { uid: reborn.metadata.uid },
    });
  });
});

describe('the real API server’s refusals', () => {
  it('are typed', async () => {
    await real.client.create(configMaps, configMap('taken'));
    await expect(real.client.create(configMaps, configMap('taken'))).rejects.toThrow(AlreadyExistsError);
    await expect(real.client.create(widgets, widget('big', { spec: { size: 101 } }))).rejects.toThrow(InvalidError);
    await expect(
      real.client.create(configMaps, { ...configMap('x'), metadata: { namespace: 'nowhere', name: 'x' } }),
    ).rejects.toThrow(NotFoundError);
    await expect(real.client.list({ ...widgets, plural: 'gadgets' })).rejects.toThrow(NotFoundError);
    await expect(real.client.get({ ...widgets, plural: 'gadgets' }, at('x'))).rejects.toThrow(NotFoundError);
    expect(await real.client.get(configMaps, at('nothing'))).toBeUndefined();
    expect(await real.client.delete(configMaps, at('nothing'))).toBe(false);
  });

  it('keep a delete from the wrong object', async () => {
    const { metadata } = await real.client.create(configMaps, configMap('precious'));
    await expect(real.client.delete(configMaps, at('precious'), { uid: randomUUID() })).rejects.toThrow(ConflictError);
    expect(await real.client.delete(configMaps, at('precious'), { uid: metadata.uid })).toBe(true);
  });

  it('include a watch from too long ago', async () => {
    const query = { namespace: real.namespace, resourceVersion: '1', timeoutSeconds: 5 };
    const watch = real.client.watch(widgets, query, { inactivityMilliseconds: 10_000 });
    await expect(watch.next()).rejects.toThrow(GoneError);
  });
});

describe('a list', () => {
  it('is read in pages and agrees with its version', async () => {
    for (let i = 0; i < 7; i++) await real.client.create(widgets, widget(`page-${i}`));
    const list = await real.client.list(widgets, { namespace: real.namespace, pageSize: 3 });
    const names = list.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('page-'));
    expect(names).toHaveLength(7);
    expect(list.items.every(({ kind, apiVersion }) => kind === 'Widget' && apiVersion === apiVersionOf(widgets))).toBe(
      true,
    );
  });
});

describe('a ServiceAccount', () => {
  async function token(name: string): Promise<string> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: at(name),
      spec: { expirationSeconds: 600 },
    };
    const answer = await real.client.create(serviceAccounts, body, { subresource: 'token' });
    return (answer['status'] as { token: string }).token;
  }

  function connect(tokenFile: string) {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(real.kubeConfig.getCurrentCluster()!, {
      name: 'account',
      authProvider: { name: 'tokenFile', config: { tokenFile } },
    });
    return createClient({ kubeConfig, clock: systemClock, userAgent: 'test' });
  }

  it('is kept to its rights, takes new ones at once, and goes on with a rotated token', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'account-'));
    const file = join(folder, 'token');
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: at('reader') };
    await real.client.create(serviceAccounts, account);
    writeFileSync(file, await token('reader'));
    const reader = connect(file);
    const read = () => reader.list(configMaps, { namespace: real.namespace });

    await expect(read()).rejects.toThrow(ForbiddenError);
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }];
    await real.client.create(roles, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: at('reader'),
      rules,
    });
    await real.client.create(roleBindings, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: at('reader'),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', ...at('reader') }],
    });
    await until(() =>
      read().then(
        () => true,
        () => false,
      ),
    );

    // A token of a deleted account is refused like an expired one.
    await real.client.delete(serviceAccounts, at('reader'));
    await until(() =>
      read().then(
        () => false,
        (error) => error instanceof UnauthorizedError,
      ),
    );
    await real.client.create(serviceAccounts, account);
    writeFileSync(file, await token('reader'));
    expect((await read()).items).toBeDefined();
    await reader.close();
    rmSync(folder, { recursive: true });
  });
});

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
      timings: { backoffMilliseconds: { first: 20, longest: 200 } },
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

  it('follows creations, changes, labels that come and go, and deletions', async () => {
    const { reflector, changes, end } = reflect(configMaps);
    await reflector.synced;
    await real.client.create(configMaps, labelled(configMap('seen')));
    await real.client.create(configMaps, configMap('unseen'));
    await real.client.patch(configMaps, at('seen'), { data: { a: 'b' } });
    await real.client.patch(configMaps, at('seen'), { metadata: { labels: { reflected: null } } });
    await real.client.patch(configMaps, at('unseen'), { metadata: { labels: { reflected: 'yes' } } });
    await real.client.delete(configMaps, at('unseen'));
    await until(() => changes.length === 5);
    expect(changes).toEqual(['added seen', 'updated seen', 'deleted seen', 'added unseen', 'deleted unseen']);
    await reflector.refresh(AbortSignal.timeout(5_000));
    expect(changes).toHaveLength(5);
    await end();
  });

  it('finds a kind again whose CRD was removed and put back', async () => {
    const gadgets = await installWidgets(real.client, `gone.${real.namespace}.example.com`);
    const gadget = (name: string) =>
      labelled({ apiVersion: apiVersionOf(gadgets), kind: 'Widget', metadata: at(name) });
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
  it('is taken by the API server, renewed, handed over and recorded with microseconds', async () => {
    const stand = (identity: string) => {
      const stop = new AbortController();
      const elected = Promise.withResolvers<Leadership>();
      const election = createLeaderElection({
        ...{ client: real.client, clock: systemClock, logger, identity },
        ...at('election'),
        retryPeriodMilliseconds: 200,
      });
      const running = election.run(stop.signal, async (leadership) => {
        elected.resolve(leadership);
        await new Promise((resolve) => leadership.signal.addEventListener('abort', resolve, { once: true }));
      });
      return { stop: () => stop.abort(new Error('test over')), elected: elected.promise, running };
    };
    const spec = async () => (await real.client.get(leases, at('election')))?.['spec'] as Record<string, unknown>;

    const first = stand('first');
    expect((await first.elected).epoch).toBe(0);
    const { renewTime, acquireTime } = await spec();
    expect(renewTime).toMatch(/\.\d{6}Z$/);
    await until(async () => (await spec())['renewTime'] !== renewTime);
    expect((await spec())['acquireTime']).toBe(acquireTime);

    const second = stand('second');
    first.stop();
    expect((await second.elected).epoch).toBe(1);
    expect(await spec()).toMatchObject({ holderIdentity: 'second', leaseDurationSeconds: 15 });
    second.stop();
    await Promise.all([first.running, second.running]);
    expect(await spec()).not.toHaveProperty('holderIdentity');
  });
});

describe('the event recorder', () => {
  it('writes events and their series that the API server takes', async () => {
    const registry = new Registry();
    const recorder = createEventRecorder({
      ...{ client: real.client, clock: systemClock, logger, registry },
      reportingController: 'example.com/operator',
      reportingInstance: 'operator-1',
    });
    const stop = new AbortController();
    const running = recorder.run(stop.signal);
    const regarding = await real.client.create(widgets, widget('eventful'));
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
