/** Writes that affect other projects than their requests', or whose effects only Core's rows show. */
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { COPIED, createHarness, type Harness, written } from './applier/harness.ts';

let on: Harness;
let stop: () => Promise<void>;

/** Ada is in project 1, bob in project 2. Both have an override of project 1's feature 11; ada's of 12 holds 11's option. */
beforeAll(async () => {
  on = await createHarness();
  stop = on.start();
  for (const id of [1, 2]) {
    await on.project(id);
    await on.migrate(id, {}, COPIED);
  }
  await on.rows({
    environments_identity: [
      { id: 101, identifier: 'ada', environment_id: 1 },
      { id: 102, identifier: 'bob', environment_id: 2 },
      { id: 103, identifier: 'cleo', environment_id: 1 },
    ],
    features_feature: [
      { id: 11, project_id: 1, name: 'colour', type: 'MULTIVARIATE' },
      { id: 12, project_id: 1, name: 'size', type: 'STANDARD' },
    ],
    multivariate_multivariatefeatureoption: [{ id: 301, feature_id: 11, type: 'unicode', string_value: 'red' }],
    features_featurestate: [
      { id: 9001, feature_id: 11, identity_id: 101, environment_id: 1 },
      { id: 9002, feature_id: 11, identity_id: 102, environment_id: 2 },
      { id: 9003, feature_id: 12, identity_id: 101, environment_id: 1 },
    ],
    features_featurestatevalue: [9001, 9002, 9003].map((id) => ({
      id,
      feature_state_id: id,
      type: 'unicode',
      string_value: 'first',
    })),
    multivariate_multivariatefeaturestatevalue: [
      { id: 501, feature_state_id: 9003, multivariate_feature_option_id: 301, percentage_allocation: 100 },
    ],
  });
  await on.publish(
    written(1, 'ada', { touched: { traits: [], overrides: 'all' } }),
    written(2, 'bob', { touched: { traits: [], overrides: 'all' } }),
    written(1, 'cleo'),
  );
  await on.drained();
});

afterAll(async () => {
  await stop();
  await on[Symbol.asyncDispose]();
});

const TOUCHED = { traits: [], overrides: [] };

/** Long enough ago to be handled only once. */
const about = (target: WriteEvent['target']): WriteEvent =>
  written(0, '', { target, touched: TOUCHED, observedTime: new Date(Date.now() - 120_000).toISOString() });

/** Overrides of an identity on Edge as JSON. */
async function overrides(key: string, identifier: string): Promise<string> {
  return JSON.stringify((await on.document(key, identifier))?.['identity_features'] ?? null);
}

const waitForOverride = (key: string, identifier: string, text: string) =>
  waitFor(async () => (await overrides(key, identifier)).includes(text), {
    for: `${identifier}'s override to have ${text}`,
    timeoutMs: 120_000,
  });

test('a feature event reaches identities in other projects that have an override of the feature', async () => {
  await on.core(`UPDATE features_feature SET name = 'renamed' WHERE id = 11`);
  await on.publish(about({ kind: 'feature', featureId: 11 }));
  await waitForOverride('key-1', 'ada', 'renamed');
  await waitForOverride('key-2', 'bob', 'renamed');
});

test('an event about a feature or a whole project reaches overrides in other projects that hold its options', async () => {
  await on.core(`UPDATE multivariate_multivariatefeatureoption SET string_value = 'green' WHERE id = 301`);
  await on.publish(about({ kind: 'feature', featureId: 11 }));
  await waitForOverride('key-1', 'ada', 'green');
  await on.core(`UPDATE multivariate_multivariatefeatureoption SET string_value = 'blue' WHERE id = 301`);
  await on.publish(about({ kind: 'features', of: { environmentId: 1 } }));
  await waitForOverride('key-1', 'ada', 'blue');
});

test('an event about an option reaches the overrides that hold it and those of its feature', async () => {
  await on.core(
    `UPDATE multivariate_multivariatefeatureoption SET string_value = 'black' WHERE id = 301`,
    `UPDATE features_feature SET name = 'tone' WHERE id = 11`,
  );
  await on.publish(about({ kind: 'option', optionId: 301 }));
  await waitForOverride('key-1', 'ada', 'black');
  await waitForOverride('key-2', 'bob', 'tone');
});

test('a feature state leads to its identity, even when deleted, and to its environment when it may have moved', async () => {
  await on.core(`UPDATE features_featurestatevalue SET string_value = 'second' WHERE id = 9002`);
  await on.publish(about({ kind: 'featureState', featureStateId: 9002 }));
  await waitForOverride('key-2', 'bob', 'second');
  await on.core('UPDATE features_featurestate SET deleted_at = now() WHERE id = 9002');
  await on.publish(about({ kind: 'featureState', featureStateId: 9002 }));
  await waitFor(async () => (await overrides('key-2', 'bob')) === '{"L":[]}', { for: 'the override to go' });
  await on.core('UPDATE features_featurestate SET identity_id = 103 WHERE id = 9001');
  await on.publish(about({ kind: 'featureState', featureStateId: 9001, moved: true }));
  await waitForOverride('key-1', 'cleo', 'tone');
  await waitFor(async () => !(await overrides('key-1', 'ada')).includes('tone'), { for: 'the former one to lose it' });
});

test('an identity loses an override that has become the environment’s own state', async () => {
  await on.rows({
    environments_identity: [{ id: 104, identifier: 'dora', environment_id: 1 }],
    features_feature: [{ id: 13, project_id: 1, name: 'shape', type: 'STANDARD' }],
    features_featurestate: [
      // The environment's own state was given to an identity, or Core would refuse another one.
      { id: 9020, feature_id: 13, environment_id: 1, identity_id: 103 },
      { id: 9021, feature_id: 13, environment_id: 1, identity_id: 104 },
    ],
  });
  await on.publish(written(1, 'dora', { touched: { traits: [], overrides: [13] } }));
  await waitForOverride('key-1', 'dora', 'shape');
  await on.core('UPDATE features_featurestate SET identity_id = NULL WHERE id = 9021');
  await on.publish(about({ kind: 'featureState', featureStateId: 9021 }));
  await waitFor(async () => (await overrides('key-1', 'dora')) === '{"L":[]}', { for: 'the override to go' });
});

test('an event about something that Core does not have, or about no identity override, is done', async () => {
  await on.rows({ features_featurestate: [{ id: 9010, feature_id: 11, environment_id: 1 }] });
  await on.publish(
    about({ kind: 'featureState', featureStateId: 9010 }),
    about({ kind: 'featureState', featureStateId: 77 }),
    about({ kind: 'option', optionId: 77 }),
    about({ kind: 'feature', featureId: 77 }),
    about({ kind: 'features', of: { projectId: 77 } }),
  );
  await on.drained();
  expect(await on.parked()).toEqual({});
});

test("a deleted project's documents are removed, and those of other projects stay", async () => {
  await on.publish(about({ kind: 'deletedProjects' }));
  await on.drained();
  expect(await on.document('key-2', 'bob')).toBeDefined();
  await on.core(
    'UPDATE projects_project SET deleted_at = now() WHERE id = 2',
    'UPDATE environments_environment SET deleted_at = now() WHERE id = 2',
    'DELETE FROM features_featurestatevalue WHERE feature_state_id = 9002',
    'DELETE FROM features_featurestate WHERE identity_id = 102',
    'DELETE FROM environments_identity WHERE id = 102',
  );
  await waitFor(
    async () => {
      if ((await on.document('key-2', 'bob')) === undefined) return true;
      // Data about environments is cached for some seconds.
      await on.publish(about({ kind: 'deletedProjects' }));
      return false;
    },
    { for: 'the documents to go', timeoutMs: 120_000, intervalMs: 3000 },
  );
  expect(await on.document('key-1', 'ada')).toBeDefined();
});

test("overrides of a deleted project's features are removed from identities of other projects, in any order of deletion", async () => {
  await on.project(3);
  await on.rows({
    features_feature: [{ id: 31, project_id: 3, name: 'borrowed', type: 'STANDARD' }],
    features_featurestate: [{ id: 9031, feature_id: 31, identity_id: 103, environment_id: 1 }],
  });
  await on.publish(written(1, 'cleo', { touched: { traits: [], overrides: [31] } }));
  await waitForOverride('key-1', 'cleo', 'borrowed');
  await on.core(
    'UPDATE projects_project SET deleted_at = now() WHERE id = 3',
    'UPDATE features_feature SET deleted_at = now() WHERE id = 31',
    'UPDATE features_featurestate SET deleted_at = now() WHERE id = 9031',
  );
  await on.publish(about({ kind: 'deletedProjects' }));
  await waitFor(async () => !(await overrides('key-1', 'cleo')).includes('borrowed'), { for: 'the override to go' });
});
