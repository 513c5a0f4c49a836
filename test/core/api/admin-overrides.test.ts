import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_KEY, createFixture, type Fixture } from './testing/fixture.ts';

let core: Fixture;
let ann: number;
let bob: number;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(async () => {
  await core.reset();
  ann = await core.addIdentity('ann');
  bob = await core.addIdentity('bob');
});
afterAll(() => core[Symbol.asyncDispose]());

const ENVIRONMENT = `environments/${CLIENT_KEY}/`;
const below = (identity: number) => `${ENVIRONMENT}identities/${identity}/featurestates/`;
const override = (identity: number, body: object) => core.admin('POST', below(identity), body);

/** Live overrides as `identity feature enabled value`. */
const overrides = async () => {
  const rows = await core.query(`
    SELECT concat_ws(' ', i.identifier, f.name, s.enabled::text, CASE v.type WHEN 'int' THEN v.integer_value::text
      WHEN 'bool' THEN v.boolean_value::text ELSE v.string_value END)
    FROM features_featurestate AS s JOIN environments_identity AS i ON i.id = s.identity_id
    JOIN features_feature AS f ON f.id = s.feature_id LEFT JOIN features_featurestatevalue AS v ON v.feature_state_id = s.id
    WHERE s.deleted_at IS NULL ORDER BY s.id`);
  return rows.flat();
};

const states = (columns: string) => core.query(`SELECT ${columns} FROM features_featurestate ORDER BY id`);

describe('Overrides below an identity', () => {
  it('are created with the value given, which leaves the feature’s own as stale text', async () => {
    const { status, body } = await override(ann, { feature: 1, enabled: true, feature_state_value: 7 });
    expect([status, body]).toMatchObject([201, { feature: 1, identity: ann, environment: 1, feature_state_value: 7 }]);
    expect(await overrides()).toEqual(['ann banner true 7']);
    expect(await core.query('SELECT string_value FROM features_featurestatevalue')).toEqual([['initial']]);
    expect(await states('version, live_from <= now()')).toEqual([[1, true]]);
  });

  it.each([
    ['no value', {}, 'initial'],
    ['text', { feature_state_value: ' blue ' }, 'blue'],
    ['a boolean', { feature_state_value: false }, 'false'],
    ['a float', { feature_state_value: 1.5 }, '1.5'],
  ])('take %s', async (_what, value, stored) => {
    await override(ann, { feature: 1, enabled: false, ...value });
    expect(await overrides()).toEqual([`ann banner false ${stored}`]);
  });

  it('have no live_from in an environment with feature versioning v2', async () => {
    await core.query('UPDATE environments_environment SET use_v2_feature_versioning = true');
    await override(ann, { feature: 1, enabled: true });
    expect(await states('version, live_from')).toEqual([[1, null]]);
  });

  it('are refused for a second one of the feature, an unknown feature and none', async () => {
    await override(ann, { feature: 1, enabled: true });
    expect((await override(ann, { feature: 1, enabled: true })).status).toBe(400);
    expect((await override(ann, { feature: 99, enabled: true })).status).toBe(400);
    expect((await override(ann, { enabled: true })).body).toEqual({ detail: 'Feature not provided' });
    expect(await overrides()).toHaveLength(1);
  });

  it('take shares of multivariate options, but not more than all', async () => {
    const shares = (first: number, second: number) => [
      { multivariate_feature_option: 1, percentage_allocation: first },
      { multivariate_feature_option: 2, percentage_allocation: second },
    ];
    const refused = await override(ann, {
      feature: 2,
      enabled: true,
      multivariate_feature_state_values: shares(60, 50),
    });
    expect([refused.status, await overrides()]).toEqual([400, []]);
    const { body } = await override(ann, {
      feature: 2,
      enabled: true,
      multivariate_feature_state_values: shares(100, 0),
    });
    expect(body.multivariate_feature_state_values).toMatchObject([
      { percentage_allocation: 100 },
      { percentage_allocation: 0 },
    ]);
    await core.admin('PUT', `${below(ann)}${body.id}/`, {
      multivariate_feature_state_values: shares(25.5, 74.5).slice(1),
    });
    expect(await core.query('SELECT percentage_allocation FROM multivariate_multivariatefeaturestatevalue')).toEqual([
      [74.5],
    ]);
  });

  it('are updated in part; PATCH answers two fields', async () => {
    const { body } = await override(ann, { feature: 1, enabled: true, feature_state_value: 'x' });
    expect((await core.admin('PUT', `${below(ann)}${body.id}/`, { enabled: false })).body.feature_state_value).toBe(
      'x',
    );
    const patched = await core.admin('PATCH', `${below(ann)}${body.id}/`, { enabled: true, feature_state_value: 5 });
    expect([patched.status, patched.body]).toEqual([200, { feature: 1, enabled: true }]);
    expect(await overrides()).toEqual(['ann banner true 5']);
  });

  it('keep a new value although the rest of the update is refused', async () => {
    const { body } = await override(ann, { feature: 1, enabled: true });
    const path = `${below(ann)}${body.id}/`;
    expect((await core.admin('PUT', path, { feature_state_value: 'kept', enabled: 'maybe' })).status).toBe(400);
    expect(await overrides()).toEqual(['ann banner true kept']);
  });

  it('can move to another identity, and be put off', async () => {
    const { body } = await override(ann, { feature: 1, enabled: true });
    expect((await core.admin('PUT', `${below(ann)}${body.id}/`, { identity: bob })).body.identity).toBe(bob);
    expect(await overrides()).toEqual(['bob banner true initial']);
    await core.admin('PUT', `${below(bob)}${body.id}/`, { live_from: '2040-01-01T00:00:00Z' });
    expect(await states('live_from > now()')).toEqual([[true]]);
    expect((await core.admin('GET', `${below(bob)}${body.id}/`)).status).toBe(404);
  });

  it('are marked when deleted, and get a new row when set again', async () => {
    const { body } = await override(ann, { feature: 1, enabled: true });
    expect((await core.admin('DELETE', `${below(ann)}${body.id}/`)).status).toBe(204);
    expect(await overrides()).toEqual([]);
    await override(ann, { feature: 1, enabled: false });
    expect(await states('id, deleted_at IS NULL')).toEqual([
      [body.id, false],
      [body.id + 1, true],
    ]);
  });

  it('are made equal to another identity’s by cloning', async () => {
    await override(ann, { feature: 1, enabled: true, feature_state_value: 7 });
    await override(ann, { feature: 3, enabled: false, feature_state_value: 'x' });
    await override(bob, { feature: 1, enabled: false, feature_state_value: 'other' });
    await override(bob, { feature: 2, enabled: true });
    const { status } = await core.admin('POST', `${below(bob)}clone-from-given-identity/`, { source_identity_id: ann });
    expect(status).toBe(200);
    const all = (await overrides()) as string[];
    expect(
      all
        .filter((row) => row.startsWith('bob'))
        .map((row) => row.slice(4))
        .sort(),
    ).toEqual(
      all
        .filter((row) => row.startsWith('ann'))
        .map((row) => row.slice(4))
        .sort(),
    );
  });

  it('are listed', async () => {
    await override(ann, { feature: 1, enabled: true });
    expect((await core.admin('GET', below(ann))).body.results).toMatchObject([{ feature: 1, identity: ann }]);
    expect((await core.admin('GET', below(bob))).body.results).toEqual([]);
  });
});

describe('features/featurestates/', () => {
  const path = 'features/featurestates/';

  it.each([
    ['id', () => ({ identity: ann })],
    ['identifier', () => ({ identifier: 'ann' })],
  ])('sets an override for an identity named by its %s', async (_what, identity) => {
    const value = { type: 'int', integer_value: 5 };
    const body = { feature: 1, environment: 1, enabled: true, ...identity(), feature_state_value: value };
    const answer = await core.admin('POST', path, body);
    expect([answer.status, answer.body.feature_state_value]).toMatchObject([201, value]);
    expect(await overrides()).toEqual(['ann banner true 5']);
  });

  it('updates: PUT needs everything, PATCH does not', async () => {
    const { body } = await override(ann, { feature: 1, enabled: true });
    expect((await core.admin('PUT', `${path}${body.id}/`, { enabled: false })).status).toBe(400);
    const patch = { feature_state_value: { type: 'unicode', string_value: 'new' } };
    expect((await core.admin('PATCH', `${path}${body.id}/`, patch)).status).toBe(200);
    expect((await core.admin('PUT', `${path}${body.id}/`, { feature: 1, environment: 1, enabled: false })).status).toBe(
      200,
    );
    expect(await overrides()).toEqual(['ann banner false new']);
  });

  it('refuses an identity that is not in the environment', async () => {
    const body = { feature: 1, environment: 1, enabled: true };
    expect((await core.admin('POST', path, { ...body, identifier: 'nobody' })).status).toBe(400);
    expect((await core.admin('POST', path, { ...body, identity: 99 })).status).toBe(400);
    expect(await overrides()).toEqual([]);
  });
});

describe('Feature states below an environment', () => {
  const path = `${ENVIRONMENT}featurestates/`;

  it('set an override when the body names an identity', async () => {
    const body = { feature: 1, enabled: true, identifier: 'ann', feature_state_value: 'x' };
    expect((await core.admin('POST', path, body)).status).toBe(201);
    expect((await core.admin('POST', path, { feature: 1, enabled: true, identity: bob })).status).toBe(201);
    expect(await overrides()).toEqual(['ann banner true x', 'bob banner true initial']);
  });

  it('reach overrides by id only with anyIdentity, and with any value of it', async () => {
    const { body } = await override(ann, { feature: 1, enabled: true });
    expect((await core.admin('DELETE', `${path}${body.id}/`)).status).toBe(404);
    expect((await core.admin('PATCH', `${path}${body.id}/?anyIdentity=`, { enabled: false })).status).toBe(200);
    expect(await overrides()).toEqual(['ann banner false initial']);
    expect((await core.admin('PUT', `${path}${body.id}/?anyIdentity=1`, { feature_state_value: true })).status).toBe(
      200,
    );
    expect(await overrides()).toEqual(['ann banner false true']);
    expect((await core.admin('DELETE', `${path}${body.id}/?anyIdentity=false`)).status).toBe(204);
    expect(await overrides()).toEqual([]);
  });

  it('cannot be created in an environment with feature versioning v2', async () => {
    await core.query('UPDATE environments_environment SET use_v2_feature_versioning = true');
    expect((await core.admin('POST', path, { feature: 1, enabled: true, identity: ann })).status).toBe(400);
  });
});

describe('A feature', () => {
  const path = 'projects/1/features/2/';
  const option = (id: number | string) => `${path}mv-options/${id === '' ? '' : `${id}/`}`;
  const type = () => core.query('SELECT type FROM features_feature WHERE id = 2');

  it('takes all of its overrides along when it is deleted', async () => {
    await override(ann, { feature: 2, enabled: true });
    await override(bob, { feature: 1, enabled: true });
    expect((await core.admin('GET', path)).body).toMatchObject({ id: 2, name: 'checkout', type: 'MULTIVARIATE' });
    expect((await core.admin('DELETE', path)).status).toBe(204);
    expect(await overrides()).toEqual(['bob banner true initial']);
    expect((await core.admin('DELETE', path)).status).toBe(404);
    expect((await core.admin('DELETE', 'projects/2/features/1/')).status).toBe(404);
  });

  it('has options whose value and key can change', async () => {
    const { status, body } = await core.admin('PATCH', option(1), { string_value: 'uno', key: 'new' });
    expect([status, body]).toMatchObject([
      200,
      { id: 1, string_value: 'uno', key: 'new', default_percentage_allocation: 50 },
    ]);
    expect((await core.admin('GET', option(''))).body.count).toBe(2);
  });

  it('loses the shares of an option that is deleted, and with the last one its type', async () => {
    const shares = [{ multivariate_feature_option: 1, percentage_allocation: 100 }];
    await override(ann, { feature: 2, enabled: true, multivariate_feature_state_values: shares });
    expect((await core.admin('DELETE', option(1))).status).toBe(204);
    expect(await core.query('SELECT count(*)::int FROM multivariate_multivariatefeaturestatevalue')).toEqual([[0]]);
    expect(await type()).toEqual([['MULTIVARIATE']]);
    await core.admin('DELETE', option(2));
    expect(await type()).toEqual([['STANDARD']]);
    expect((await core.admin('POST', option(''), { type: 'int', integer_value: 3 })).status).toBe(201);
    expect(await type()).toEqual([['MULTIVARIATE']]);
  });
});
