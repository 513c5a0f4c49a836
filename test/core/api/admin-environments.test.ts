import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_KEY, createFixture, type Fixture } from './testing/fixture.ts';

let core: Fixture;
beforeEach(async () => {
  core = await createFixture();
});
afterEach(() => core[Symbol.asyncDispose]());

const path = `environments/${CLIENT_KEY}/`;
const count = async (table: string) => (await core.query(`SELECT count(*)::int FROM ${table}`))[0]?.[0];
const override = (identity: number) =>
  core.admin('POST', `${path}identities/${identity}/featurestates/`, { feature: 1, enabled: true });

describe('The deletion of an environment', () => {
  it('happens step by step: a worker that dies in between leaves the rest', async () => {
    await core.addIdentity('ann', { a: 'x' });
    const headers = { Authorization: 'Token admin-token', 'X-Fixture-Fault': 'crash-after-write=2' };
    await expect(core.send('DELETE', path, { headers })).rejects.toThrow();
    expect([await count('environments_environmentapikey'), await count('environments_trait')]).toEqual([0, 1]);
    expect(await core.query('SELECT deleted_at IS NOT NULL FROM environments_environment')).toEqual([[true]]);
  });

  it('switches feature versioning v2 on and off after the answer, which makes every override live', async () => {
    const versioned = async () =>
      (await core.query('SELECT use_v2_feature_versioning FROM environments_environment'))[0];
    expect((await core.admin('POST', `${path}enable-v2-versioning/`)).status).toBe(202);
    await waitFor(async () => (await versioned())?.[0] === true, { for: 'versioning to be on' });
    await override(await core.addIdentity('ann'));
    expect(await core.query('SELECT live_from FROM features_featurestate')).toEqual([[null]]);
    expect((await core.admin('POST', `${path}enable-v2-versioning/`)).status).toBe(400);
    expect((await core.admin('POST', `${path}disable-v2-versioning/`)).status).toBe(202);
    await waitFor(async () => (await versioned())?.[0] === false, { for: 'versioning to be off' });
    expect(await core.query('SELECT version, live_from <= now() FROM features_featurestate')).toEqual([[1, true]]);
  });
});

describe('A project', () => {
  it('is deleted at once, its environments after the answer; until then their keys work', async () => {
    await core.addIdentity('ann');
    await core.query('BEGIN; LOCK environments_environment IN SHARE MODE');
    expect((await core.admin('DELETE', 'projects/1/')).status).toBe(204);
    expect((await core.send('GET', 'identities/?identifier=bob')).status).toBe(200);
    await core.query('COMMIT');
    const isDeleted = 'SELECT deleted_at IS NOT NULL FROM environments_environment';
    await waitFor(async () => (await core.query(isDeleted))[0]?.[0] === true, { for: 'the environment to be marked' });
    expect((await core.send('GET', 'identities/?identifier=cid')).status).toBe(403);
    await waitFor(async () => (await core.identifiers()).length === 0, { for: 'the identities to be gone' });
    expect((await core.admin('DELETE', 'projects/1/')).status).toBe(404);
  });
});
