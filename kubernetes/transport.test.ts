import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { ApiError, TooManyRequestsError, UnauthorizedError, UnreachableError } from './errors.ts';
import { useFake } from './testing/fake.ts';
import { startFakeApiServer } from './testing/fake-api-server.ts';
import { widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

const fake = useFake([widgets]);
const any = () => true;
const first = { namespace: 'default', name: 'first' };

describe('retries', () => {
  it('a retry waits as long as the API server asks, for every verb', async () => {
    fake.server.fail(any, { status: 429, headers: { 'retry-after': '3' } });
    const creating = fake.client.create(widgets, widget('first'));
    await fake.clock.sleepers(1);
    await until(() => fake.clock.pending()[0] === 3050);
    await fake.clock.advance(3050);
    expect(await creating).toMatchObject({ metadata: { name: 'first' } });
  });

  it('a long Retry-After is left to the caller', async () => {
    fake.server.fail(any, { status: 429, headers: { 'retry-after': '60' } });
    const error = fake.client.list(widgets);
    await expect(error).rejects.toBeInstanceOf(TooManyRequestsError);
    await expect(error).rejects.toMatchObject({ retryAfterMs: 60_000 });
  });

  it.each(['reset', 'lost', { status: 500 }, { status: 503 }] as const)(
    'retries repeat a repeatable call after %o',
    async (fault) => {
      const instant = fake.connect({ clock: systemClock, random: () => 0 });
      fake.server.fail(any, fault, 2);
      await instant.apply(widgets, widget('first', { size: 3 }), { fieldManager: 'm' });
      expect(fake.server.store.find(widgets, first)).toMatchObject({ spec: { size: 3 } });
      expect(fake.server.requests).toHaveLength(3);
    },
  );

  it.each(['reset', 'lost', { status: 500 }] as const)('a create is never sent twice after %o', async (fault) => {
    fake.server.fail(any, fault);
    await expect(fake.client.create(widgets, widget('first'))).rejects.toThrow(ApiError);
    expect(fake.server.requests).toHaveLength(1);
  });

  it('even a create is repeated if it was never sent', async () => {
    const { url } = fake.server;
    await fake.server.stop();
    const instant = fake.connect({ clock: systemClock, random: () => 0, retries: 3 });
    await expect(instant.create(widgets, widget('first'))).rejects.toThrow(/create widgets default: .*ECONNREFUSED/);
    expect(await requestsByCode()).toEqual({ '<error>': 4 });
    fake.server = await startFakeApiServer([widgets]);
    expect(url).not.toBe(fake.server.url);
  });

  it('retries end with the last error when nothing helps', async () => {
    const instant = fake.connect({ clock: systemClock, random: () => 0 });
    fake.server.fail(any, { status: 503 }, 99);
    await expect(instant.list(widgets)).rejects.toMatchObject({ status: 503 });
    expect(fake.server.requests).toHaveLength(5);
  });
});

describe('waiting', () => {
  it('waiting ends at the deadline of each try when the API server does not answer', async () => {
    fake.server.fail(any, 'hang');
    const getting = fake.client.get(widgets, first, { timeoutMs: 7_000, retries: 0 });
    getting.catch(() => {});
    await until(() => fake.server.requests.length === 1);
    await fake.clock.advance(6_999);
    await fake.clock.advance(1);
    await expect(getting).rejects.toBeInstanceOf(UnreachableError);
    await expect(getting).rejects.toMatchObject({
      reason: 'Timeout',
      message: 'get widgets default/first: no answer within 7000 ms',
    });
    expect(fake.clock.pending()).toEqual([]);
  });

  it('waiting ends at once with the caller’s reason, in a call and between tries', async () => {
    const reason = new Error('shutting down');
    for (const fault of ['hang', { status: 503 }] as const) {
      fake.server.fail(any, fault);
      const abort = new AbortController();
      const listing = fake.client.list(widgets, {}, { signal: abort.signal });
      listing.catch(() => {});
      const seen = fake.server.requests.length + 1;
      await until(() => fake.server.requests.length === seen && fake.clock.pending().length === 1);
      abort.abort(reason);
      await expect(listing).rejects.toBe(reason);
      expect(fake.clock.pending()).toEqual([]);
    }
  });
});

describe('credentials', () => {
  it('credentials are read again when the API server no longer accepts them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'token-'));
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'old\n');
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(
      { name: 'fake', server: fake.server.url, skipTLSVerify: true },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile } } },
    );
    const pod = fake.connect({ kubeConfig });
    fake.server.requireToken('old');
    await pod.list(widgets);

    writeFileSync(tokenFile, 'new\n');
    fake.server.requireToken('new');
    expect((await pod.list(widgets)).items).toEqual([]);
    await expect(fake.client.list(widgets)).rejects.toThrow(UnauthorizedError);
    rmSync(folder, { recursive: true });
  });

  it('unreadable credentials fail the call, not the process', async () => {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(
      { name: 'fake', server: fake.server.url, skipTLSVerify: true },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile: '/nowhere/token' } } },
    );
    const pod = fake.connect({ kubeConfig });
    await expect(pod.list(widgets, {}, { retries: 0 })).rejects.toThrow(/list widgets: ENOENT/);
    const watch = pod.watch(widgets, { resourceVersion: '1', timeoutSeconds: 60 }, { inactivityMs: 1000 });
    await expect(watch.next()).rejects.toThrow(UnreachableError);
  });

  it('credentials may come from an exec plugin', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'exec' },
    };
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(
      { name: 'fake', server: fake.server.url, skipTLSVerify: true },
      { name: 'human', exec: { command: 'echo', args: [JSON.stringify(credential)] } },
    );
    fake.server.requireToken('exec');
    expect((await fake.connect({ kubeConfig }).list(widgets)).items).toEqual([]);
  });
});

describe('a guarded client', () => {
  it('a guarded client asks before each attempt of a write, and sends nothing when refused', async () => {
    const refusal = new Error('not leading');
    let asked = 0;
    const guarded = fake.connect({ clock: systemClock, random: () => 0 }).guarded(() => {
      if (++asked === 2) throw refusal;
    });
    fake.server.fail(any, { status: 503 });
    await expect(guarded.apply(widgets, widget('first'), { fieldManager: 'm' })).rejects.toBe(refusal);
    expect(fake.server.requests).toHaveLength(1);
    expect(await guarded.get(widgets, first)).toBeUndefined();
    expect(asked).toBe(2);
  });
});

it('the transport counts requests by code and method', async () => {
  fake.server.fail(any, { status: 404, reason: 'NotFound' });
  await fake.client.list(widgets, {}, { retries: 0 }).catch(() => {});
  await fake.client.list(widgets);
  expect(await requestsByCode()).toEqual({ 404: 1, 200: 1 });
});

it('the transport shares connections between calls', async () => {
  for (let i = 0; i < 50; i++) await fake.client.list(widgets);
  // undici may open a second one before the first has become idle again.
  expect(new Set(fake.server.requests.map(({ port }) => port)).size).toBeLessThanOrEqual(2);
});

async function requestsByCode() {
  const metric = await fake.registry.getSingleMetric('rest_client_requests_total')?.get();
  return Object.fromEntries(metric!.values.map(({ labels, value }) => [labels['code'], value]));
}
