import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from './client.ts';
import {
  AlreadyExistsError,
  ConflictError,
  ForbiddenError,
  GoneError,
  InvalidError,
  NotFoundError,
  UnauthorizedError,
} from './errors.ts';
import {
  apiVersionOf,
  configMaps,
  enterWithWidgets,
  roleBindings,
  roles,
  serviceAccounts,
} from './testing/real-api-server.ts';
import { until } from './testing/until.ts';

let real: Awaited<ReturnType<typeof enterWithWidgets>>;

beforeAll(async () => {
  real = await enterWithWidgets();
});

afterAll(() => real.leave());

describe('server-side apply', () => {
  it('server-side apply creates, changes, and does nothing when nothing is different', async () => {
    const options = { fieldManager: 'operator', force: true };
    const created = await real.client.apply(real.widgets, real.widget('applied', { spec: { size: 1 } }), options);
    const changed = await real.client.apply(real.widgets, real.widget('applied', { spec: { size: 2 } }), options);
    const again = await real.client.apply(real.widgets, real.widget('applied', { spec: { size: 2 } }), options);
    expect([created, changed].map(({ metadata }) => metadata.generation)).toEqual([1, 2]);
    expect(again.metadata.resourceVersion).toBe(changed.metadata.resourceVersion);
  });

  it('server-side apply writes the status and not the spec through its subresource', async () => {
    await real.client.create(real.widgets, real.widget('status', { spec: { size: 1 } }));
    const condition = (type: string, status: string) => ({ type, status });
    const apply = (conditions: object[]) =>
      real.client.apply(
        real.widgets,
        real.widget('status', { spec: { size: 9 }, status: { phase: 'Ready', conditions } }),
        {
          fieldManager: 'operator',
          force: true,
          subresource: 'status',
        },
      );
    const first = await apply([condition('A', 'True'), condition('B', 'Unknown')]);
    expect(first).toMatchObject({ spec: { size: 1 }, status: { phase: 'Ready' }, metadata: { generation: 1 } });
    const second = await apply([condition('A', 'False')]);
    // Fields that a manager stops applying are removed.
    expect(second['status']).toEqual({ phase: 'Ready', conditions: [condition('A', 'False')] });
  });

  it('server-side apply conflicts with another manager unless it is forced', async () => {
    await real.client.apply(real.widgets, real.widget('shared', { spec: { size: 1 } }), { fieldManager: 'one' });
    const other = (force: boolean) =>
      real.client.apply(real.widgets, real.widget('shared', { spec: { size: 2 } }), { fieldManager: 'two', force });
    await expect(other(false)).rejects.toThrow(ConflictError);
    await expect(other(false)).rejects.toThrow(
      /apply widgets .*\/shared: Conflict \(409\): Apply failed with 1 conflict/,
    );
    expect(await other(true)).toMatchObject({ spec: { size: 2 } });
  });

  it('server-side apply with the uid of a predecessor is a conflict', async () => {
    const options = { fieldManager: 'operator', force: true };
    await real.client.create(real.widgets, real.widget('successor'));
    for (const name of ['successor', 'gone']) {
      const stale = real.widget(name, { spec: { size: 3 } });
      stale.metadata.uid = randomUUID();
      await expect(real.client.apply(real.widgets, stale, options)).rejects.toThrow(ConflictError);
    }
  });

  it('an applied status is kept from a successor only by its resourceVersion: the uid is ignored there', async () => {
    const options = { fieldManager: 'operator', force: true, subresource: 'status' };
    const old = await real.client.create(real.widgets, real.widget('reborn'));
    await real.client.delete(real.widgets, real.at('reborn'), { uid: old.metadata.uid });
    const reborn = await real.client.create(real.widgets, real.widget('reborn'));
    const status = (metadata: object) => ({
      ...real.widget('reborn', { status: { phase: 'Old' } }),
      metadata: { ...real.at('reborn'), ...metadata },
    });
    const { resourceVersion, uid } = old.metadata;
    await expect(real.client.apply(real.widgets, status({ resourceVersion }), options)).rejects.toThrow(ConflictError);
    expect(await real.client.apply(real.widgets, status({ uid }), options)).toMatchObject({
      metadata: { uid: reborn.metadata.uid },
    });
  });
});

describe('the real API server’s refusals', () => {
  it('the real API server’s refusals become typed errors', async () => {
    await real.client.create(configMaps, real.configMap('taken'));
    await expect(real.client.create(configMaps, real.configMap('taken'))).rejects.toThrow(AlreadyExistsError);
    await expect(real.client.create(real.widgets, real.widget('big', { spec: { size: 101 } }))).rejects.toThrow(
      InvalidError,
    );
    await expect(
      real.client.create(configMaps, { ...real.configMap('x'), metadata: { namespace: 'nowhere', name: 'x' } }),
    ).rejects.toThrow(NotFoundError);
    await expect(real.client.list({ ...real.widgets, plural: 'gadgets' })).rejects.toThrow(NotFoundError);
    await expect(real.client.get({ ...real.widgets, plural: 'gadgets' }, real.at('x'))).rejects.toThrow(NotFoundError);
    expect(await real.client.get(configMaps, real.at('nothing'))).toBeUndefined();
    expect(await real.client.delete(configMaps, real.at('nothing'))).toBe(false);
  });

  it('the real API server refuses to delete the wrong object', async () => {
    const { metadata } = await real.client.create(configMaps, real.configMap('precious'));
    await expect(real.client.delete(configMaps, real.at('precious'), { uid: randomUUID() })).rejects.toThrow(
      ConflictError,
    );
    expect(await real.client.delete(configMaps, real.at('precious'), { uid: metadata.uid })).toBe(true);
  });

  it('the real API server refuses a watch from too old a version', async () => {
    const query = { namespace: real.namespace, resourceVersion: '1', timeoutSeconds: 5 };
    const watch = real.client.watch(real.widgets, query, { inactivityMs: 10_000 });
    await expect(watch.next()).rejects.toThrow(GoneError);
  });
});

describe('a list', () => {
  it('a list is read in pages and agrees with its version', async () => {
    for (let i = 0; i < 7; i++) await real.client.create(real.widgets, real.widget(`page-${i}`));
    const list = await real.client.list(real.widgets, { namespace: real.namespace, pageSize: 3 });
    const names = list.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('page-'));
    expect(names).toHaveLength(7);
    expect(
      list.items.every(({ kind, apiVersion }) => kind === 'Widget' && apiVersion === apiVersionOf(real.widgets)),
    ).toBe(true);
  });
});

describe('a ServiceAccount', () => {
  async function token(name: string): Promise<string> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: real.at(name),
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

  it('a ServiceAccount is limited to its rights, gains new ones at once, and survives a token rotation', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'account-'));
    const file = join(folder, 'token');
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: real.at('reader') };
    await real.client.create(serviceAccounts, account);
    writeFileSync(file, await token('reader'));
    const reader = connect(file);
    const read = () => reader.list(configMaps, { namespace: real.namespace });

    await expect(read()).rejects.toThrow(ForbiddenError);
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }];
    await real.client.create(roles, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: real.at('reader'),
      rules,
    });
    await real.client.create(roleBindings, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: real.at('reader'),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', ...real.at('reader') }],
    });
    await until(() =>
      read().then(
        () => true,
        () => false,
      ),
    );

    // A token of a deleted account is refused like an expired one.
    await real.client.delete(serviceAccounts, real.at('reader'));
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
