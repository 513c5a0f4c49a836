import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, createConnection } from './connection.ts';

let folder: string;
let connection: Connection;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'connection-'));
});

afterEach(async () => {
  await connection.close();
  rmSync(folder, { recursive: true });
});

function connect(cluster: Record<string, unknown>, user: Record<string, unknown> = {}) {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'c', server: 'https://127.0.0.1:1/prefix/', skipTLSVerify: false, ...cluster },
    { name: 'u', ...user },
  );
  connection = createConnection(kubeConfig);
}

describe('a connection', () => {
  it('a connection is shared until the CA changes, then created again', async () => {
    const caFile = join(folder, 'ca.crt');
    writeFileSync(caFile, 'one');
    connect({ caFile });
    const first = await connection.access();
    expect((await connection.access()).dispatcher).toBe(first.dispatcher);
    writeFileSync(caFile, 'two');
    const second = await connection.access();
    expect(second.dispatcher).not.toBe(first.dispatcher);
    expect((await connection.access()).dispatcher).toBe(second.dispatcher);
  });

  it('a connection carries the kubeconfig’s credentials and impersonation', async () => {
    connect({}, { token: 'secret', impersonateUser: 'someone' });
    expect(await connection.access()).toMatchObject({
      server: 'https://127.0.0.1:1/prefix',
      headers: { authorization: 'Bearer secret', 'impersonate-user': 'someone' },
    });
  });

  it.each(['http://127.0.0.1:1', 'socks5://127.0.0.1:1'])(
    'a connection goes through the kubeconfig’s proxy %s',
    async (proxyUrl) => {
      connect({ proxyUrl });
      expect((await connection.access()).dispatcher.constructor.name).toMatch(/Proxy/);
    },
  );

  it('a connection refuses to send credentials unencrypted', async () => {
    connect({ server: 'http://127.0.0.1:1' });
    await expect(connection.access()).rejects.toThrow(/HTTP protocol is not allowed/);
  });
});
