import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startNats } from '@edge-migration/test/cluster/nats.ts';
import { createFolder, removeFolder } from '@edge-migration/test/cluster/reaper.ts';
import { nkeys } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { parseEnvironment, redact } from '../configuration.ts';

import { connectNats, type NatsSettings, natsSettings } from './connection.ts';

const tls = (name: string) => new URL(`fixtures/tls/${name}`, import.meta.url).pathname;

let folder: string;
beforeAll(() => {
  folder = createFolder('nats-settings');
});
afterAll(() => removeFolder(folder));

/** Connects to a server of this configuration; returns the reports made before, if it did not give up. */
async function connectTo(config: string, settings: Partial<NatsSettings>, userInfo?: string) {
  await using nats = await startNats({ config });
  const stopConnecting = new AbortController();
  let failures = 0;
  const connection = await connectNats(
    {
      natsServers: [userInfo === undefined ? nats.url : nats.url.replace('//', `//${userInfo}@`)],
      natsTlsFirst: false,
      ...settings,
    },
    {
      name: 'test',
      role: 'sidecar',
      clock: systemClock,
      signal: stopConnecting.signal,
      onFailure(error) {
        failures += 1;
        if (failures === 2) stopConnecting.abort(error);
      },
    },
  );
  const { tls_required } = connection.info ?? {};
  await connection.close();
  return { tls: tls_required === true, failures };
}

const TLS_CONFIG = `tls { cert_file: "${tls('server.pem')}", key_file: "${tls('server-key.pem')}", ca_file: "${tls('ca.pem')}", verify: true }`;
const TLS_SETTINGS = {
  natsCaFile: tls('ca.pem'),
  natsCertificateFile: tls('client.pem'),
  natsKeyFile: tls('client-key.pem'),
};

describe('the connection to NATS', () => {
  it('the connection to NATS uses TLS with its own authority and client certificate', async () => {
    expect(await connectTo(TLS_CONFIG, TLS_SETTINGS)).toEqual({ tls: true, failures: 0 });
  });

  it('the connection to NATS can begin with the TLS handshake', async () => {
    const config = TLS_CONFIG.replace('verify: true', 'verify: true, handshake_first: true');
    expect(await connectTo(config, { ...TLS_SETTINGS, natsTlsFirst: true })).toEqual({ tls: true, failures: 0 });
  });

  it('the connection to NATS does not trust a server of an unknown authority', async () => {
    const { natsCaFile: _, ...others } = TLS_SETTINGS;
    await expect(connectTo(TLS_CONFIG, others)).rejects.toThrow(/certificate/i);
  });

  it('the connection to NATS identifies itself by an NKey', async () => {
    const user = nkeys.createUser();
    const seed = join(folder, 'seed.nk');
    writeFileSync(seed, `${new TextDecoder().decode(user.getSeed())}\n`);
    const config = `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`;
    expect(await connectTo(config, { natsNkeyFile: seed })).toMatchObject({ failures: 0 });
  });

  it('the connection to NATS identifies itself by user and password', async () => {
    const password = join(folder, 'password');
    writeFileSync(password, 'secret\n');
    const config = 'authorization { user: sidecar, password: secret }';
    const settings = { natsUser: 'sidecar', natsPasswordFile: password };
    expect(await connectTo(config, settings)).toMatchObject({ failures: 0 });
  });

  it.each([
    ['a user and a password', 'authorization { user: sidecar, password: "p@ss:w%rd" }', 'sidecar:p@ss:w%25rd'],
    ['a token', 'authorization { token: "tok/en" }', 'tok%2Fen'],
  ])('the connection to NATS takes %s from the address of the server', async (_, config, userInfo) => {
    expect(await connectTo(config, {}, userInfo)).toMatchObject({ failures: 0 });
  });

  it('the connection to NATS retries while it is refused, until it is aborted', async () => {
    const config = 'authorization { user: sidecar, password: secret }';
    await expect(connectTo(config, { natsUser: 'sidecar' })).rejects.toThrow(/authorization/i);
  });
});

describe('the servers of a configuration', () => {
  const schema = z.object(natsSettings);
  const shownOf = (servers: string) =>
    redact(schema, parseEnvironment(schema, { EDGE_MIGRATION_NATS_SERVERS: servers }))['natsServers'];

  it.each([
    ['nats://sidecar:secret@one:4222', ['nats://one:4222']],
    ['tls://sidecar:sec@ret@one:4222, tls://two:4222', ['tls://one:4222', 'tls://two:4222']],
    ['secret-token@one:4222', ['one:4222']],
    ['nats://one:4222', ['nats://one:4222']],
  ])('the servers of a configuration are logged without credentials: %s', (servers, shown) => {
    expect(shownOf(servers)).toEqual(shown);
  });
});
