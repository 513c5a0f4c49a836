/** Identities that Edge cannot store, or not completely, while their writes are followed. */
import { itemBytes, MAX_ITEM_BYTES } from '@edge-migration/identity/edge/document/size.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dynamodb } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness, type Item, written } from './applier/harness.ts';

/** Flagsmith stores it as a number, with more digits than DynamoDB supports. */
const DIGITS = '123456789012345678901234567890123456789';

let on: Harness;
let stop: () => Promise<void>;

beforeAll(async () => {
  on = await createHarness();
  stop = on.start({ EDGE_MIGRATION_UNSTORABLE_RETRY_SECONDS: '2' });
});
afterAll(async () => {
  await stop();
  await on[Symbol.asyncDispose]();
});

const eventually = (what: string, condition: () => Promise<boolean>) =>
  waitFor(condition, { for: what, timeoutMs: 120_000 });
/** Does not include the sizes of the events. */
const listed = async (projectId: number) => {
  const subjects = Object.keys(await on.parked()).map((subject) => subject.replace(/\.\d+$/, ''));
  return [...new Set(subjects)].filter((subject) => subject.startsWith(`identity.parked.${projectId}.`));
};
const isListed = (projectId: number, ...subjects: string[]) =>
  eventually(`the list to be [${subjects}]`, async () => {
    const wanted = subjects.map((subject) => `identity.parked.${projectId}.unstorable.${subject}`);
    return JSON.stringify((await listed(projectId)).sort()) === JSON.stringify(wanted);
  });
const traitsAre = (key: string, identifier: string, wanted: Record<string, string> | undefined) =>
  eventually(
    `${identifier} to have ${Object.keys(wanted ?? {})}`,
    async () => JSON.stringify(sort(await on.traits(key, identifier))) === JSON.stringify(sort(wanted)),
  );
const sort = (all: object | undefined) => all && Object.entries(all).sort();

async function set(identityId: number, key: string, value: string | undefined): Promise<void> {
  await on.core(`DELETE FROM environments_trait WHERE identity_id = ${identityId} AND trait_key = '${key}'`);
  if (value === undefined) return;
  await on.rows({
    environments_trait: [
      { id: id++, identity_id: identityId, trait_key: key, value_type: 'unicode', string_value: value },
    ],
  });
}
let id = 50_000;

const touched = (...traits: string[]) => ({ touched: { traits, overrides: [] } });

describe('a trait that Edge cannot store', () => {
  test('is listed at once while the others are followed, and nothing is listed once it is corrected', async () => {
    await on.project(1);
    await on.migrate(1);
    await on.rows({ environments_identity: [{ id: 101, identifier: 'ada', environment_id: 1 }] });
    await set(101, 'plan', 'gold');
    await on.publish(written(1, 'ada'));
    await traitsAre('key-1', 'ada', { plan: 'gold' });
    await set(101, 'plan', DIGITS);
    await on.publish(written(1, 'ada'));
    await isListed(1, '1.101.NumberTooPrecise');
    await set(101, 'age', '36 years');
    await on.publish(written(1, 'ada', touched('age')));
    await traitsAre('key-1', 'ada', { plan: 'gold', age: '36 years' });
    await set(101, 'plan', 'silver');
    await on.publish(written(1, 'ada'));
    await traitsAre('key-1', 'ada', { plan: 'silver', age: '36 years' });
    await isListed(1);
    await on.drained();
  });

  test('stays listed while it is retried, even where only other traits were written since', async () => {
    await on.rows({ environments_identity: [{ id: 103, identifier: 'cleo', environment_id: 1 }] });
    await on.publish(written(1, 'cleo'));
    await eventually('the document', async () => (await on.document('key-1', 'cleo')) !== undefined);
    // As if written before the copy: no event reports it.
    await set(103, 'plan', DIGITS);
    await set(103, 'age', '36 years');
    await on.publish(written(1, 'cleo', touched('age')));
    await isListed(1, '1.103.NumberTooPrecise');
    // Longer than the interval of the appliers' checks and retries.
    const tried = Date.now() + 10_000;
    await eventually('several tries', async () => Date.now() > tried);
    await isListed(1, '1.103.NumberTooPrecise');
    await set(103, 'plan', 'gold');
    await on.publish(written(1, 'cleo'));
    await isListed(1);
  });

  test('leaves nothing behind when its identity is deleted', async () => {
    await on.rows({ environments_identity: [{ id: 102, identifier: 'bob', environment_id: 1 }] });
    await set(102, 'plan', DIGITS);
    await on.publish(written(1, 'bob'));
    await isListed(1, '1.102.NumberTooPrecise');
    await on.core('DELETE FROM environments_trait WHERE identity_id = 102');
    await on.core('DELETE FROM environments_identity WHERE id = 102');
    await on.publish(written(1, 'bob'));
    await isListed(1);
    expect(await on.document('key-1', 'bob')).toBeUndefined();
  });
});

test('arrives once Edge clients make room in the document, although no event reports that', async () => {
  await on.project(2);
  await on.migrate(2);
  await on.rows({ environments_identity: [{ id: 201, identifier: 'ada', environment_id: 2 }] });
  await on.publish(written(2, 'ada'));
  await eventually('the document', async () => (await on.document('key-2', 'ada')) !== undefined);
  const access = await dynamodb();
  const edge = openEdge(on.tables.settings, { credentials: access.credentials });
  const before = (await on.document('key-2', 'ada')) as Item;
  const filled = (length: number): Item => {
    const filler = { M: { trait_key: { S: 'filler' }, trait_value: { S: 'f'.repeat(length) } } };
    return { ...before, identity_traits: { L: [filler] } };
  };
  const full = filled(MAX_ITEM_BYTES - 1000 - itemBytes(filled(0)));
  expect(await edge.identities.putIfUnchanged(full, before)).toBe('written');
  const note = 'n'.repeat(1500);
  await set(201, 'note', note);
  await on.publish(written(2, 'ada', touched('note')));
  await isListed(2, '2.201.DocumentTooLarge');
  // Later events of others must not make it forgotten.
  await set(201, 'plan', 'gold');
  await on.publish(written(2, 'ada'));
  await eventually('plan', async () => (await on.traits('key-2', 'ada'))?.['plan'] === 'gold');
  const now = (await on.document('key-2', 'ada')) as Item;
  const rest = now['identity_traits']!.L!.filter(({ M }) => M?.['trait_key']?.S !== 'filler');
  expect(await edge.identities.putIfUnchanged({ ...now, identity_traits: { L: rest } }, now)).toBe('written');
  edge.close();
  await traitsAre('key-2', 'ada', { note, plan: 'gold' });
  await isListed(2);
});

describe('two projects that share a key for an identity', () => {
  test("do not touch each other's document, and the one without a place is listed until it has one", async () => {
    await on.project(3);
    await on.rows({
      projects_project: [{ id: 4 }],
      environments_environment: [{ id: 4, project_id: 4, api_key: 'key-3_b' }],
      environments_identity: [
        { id: 301, identifier: 'b_x', environment_id: 3 },
        { id: 401, identifier: 'x', environment_id: 4 },
      ],
    });
    await on.migrate(3);
    await on.migrate(4);
    await set(301, 'plan', 'of 3');
    await set(401, 'plan', 'of 4');
    await on.publish(written(3, 'b_x'));
    await traitsAre('key-3', 'b_x', { plan: 'of 3' });
    const other = (changes = {}) =>
      written(4, 'x', {
        target: { kind: 'identity', environment: { clientKey: 'key-3_b' }, identifier: 'x' },
        ...changes,
      });
    await on.publish(other());
    await isListed(4, '4.401.KeyTakenByAnother');
    await on.core('DELETE FROM environments_trait WHERE identity_id = 401');
    await on.core('DELETE FROM environments_identity WHERE id = 401');
    await on.publish(other());
    await isListed(4);
    expect(await on.traits('key-3', 'b_x')).toEqual({ plan: 'of 3' });

    await on.rows({ environments_identity: [{ id: 402, identifier: 'x', environment_id: 4 }] });
    await on.publish(other());
    await isListed(4, '4.402.KeyTakenByAnother');
    await on.core('DELETE FROM environments_trait WHERE identity_id = 301');
    await on.core('DELETE FROM environments_identity WHERE id = 301');
    await on.publish(written(3, 'b_x'));
    await eventually('the place to be theirs', async () => {
      return (await on.document('key-3', 'b_x'))?.['django_id']?.N === '402';
    });
    await isListed(4);
  });
});
