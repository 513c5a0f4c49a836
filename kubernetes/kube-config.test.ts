import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadKubeConfig } from './kube-config.ts';
import { useFake } from './testing/fake.ts';
import { widgets } from './testing/resources.ts';

const fake = useFake([widgets]);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(user: object): string {
  const path = join(folder, 'config');
  const document = {
    clusters: [{ name: 'c', cluster: { server: fake.server.url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(path, stringify(document));
  return path;
}

describe('a kubeconfig', () => {
  it('a kubeconfig with a token is used as it is', async () => {
    fake.server.requireToken('plain');
    expect((await fake.connect({ kubeConfig: loadKubeConfig(write({ token: 'plain' })) }).list(widgets)).items).toEqual(
      [],
    );
  });

  it('a kubeconfig’s token file takes precedence over its token, and is read again after a rotation', async () => {
    const path = write({ token: 'expired', tokenFile: 'token' });
    writeFileSync(join(folder, 'token'), 'one\n');
    const client = fake.connect({ kubeConfig: loadKubeConfig(path) });
    for (const token of ['one', 'two']) {
      writeFileSync(join(folder, 'token'), `${token}\n`);
      fake.server.requireToken(token);
      expect((await client.list(widgets)).items).toEqual([]);
    }
  });
});
