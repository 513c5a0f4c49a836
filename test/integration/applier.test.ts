import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { derivedHeaders } from '@edge-migration/replay-sidecar/applier/consume/delivery.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { COPIED, COPYING, createHarness, type Harness, written } from './applier/harness.ts';

let on: Harness;
let stop: () => Promise<void>;

beforeAll(async () => {
  on = await createHarness();
  stop = on.start();
});

afterAll(async () => {
  await stop();
  await on[Symbol.asyncDispose]();
});

/** An identity of environment `id`, with the trait `plan`. */
async function putInCore(id: number, identityId: number, identifier: string, plan = 'gold') {
  await on.rows({
    environments_identity: [{ id: identityId, identifier, environment_id: id }],
    environments_trait: [
      { id: identityId, identity_id: identityId, trait_key: 'plan', value_type: 'unicode', string_value: plan },
    ],
  });
}

const eventually = (what: string, condition: () => Promise<boolean>) =>
  waitFor(condition, { for: what, timeoutMs: 120_000 });
const planIs = (id: number, identifier: string, plan: string | undefined) =>
  eventually(
    `plan ${plan} of ${identifier}`,
    async () => (await on.traits(`key-${id}`, identifier))?.['plan'] === plan,
  );
const isGone = (id: number, identifier: string) =>
  eventually(`${identifier} to be gone`, async () => (await on.document(`key-${id}`, identifier)) === undefined);
const deadline = (milliseconds: number) => ({
  replay: { deadline: new Date(Date.now() + milliseconds).toISOString() },
});

describe('an applier, while the EdgeMigration is active', () => {
  test('applies a write in Core to Edge: created, changed, removed, deleted', async () => {
    await on.project(10);
    await on.migrate(10);
    await putInCore(10, 1001, 'ada');
    await on.publish(written(10, 'ada'));
    await planIs(10, 'ada', 'gold');
    await on.core(`UPDATE environments_trait SET string_value = 'free' WHERE identity_id = 1001`);
    await on.publish(written(10, 'ada'));
    await planIs(10, 'ada', 'free');
    await on.core('DELETE FROM environments_trait WHERE identity_id = 1001');
    await on.publish(written(10, 'ada', { target: { kind: 'identityId', identityId: 1001 } }));
    await planIs(10, 'ada', undefined);
    await on.core('DELETE FROM environments_identity WHERE id = 1001');
    await on.publish(written(10, 'ada'));
    await isGone(10, 'ada');
    await on.drained();
  });

  test('reaches the same result when events come twice, late and in any order', async () => {
    await on.project(11);
    await on.migrate(11);
    await putInCore(11, 1101, 'ada', 'old');
    const first = written(11, 'ada');
    await on.core(`UPDATE environments_trait SET string_value = 'new' WHERE identity_id = 1101`);
    await on.publish(
      written(11, 'ada'),
      { ...first, id: 'again' },
      first,
      written(11, 'ada', { observedTime: '2026-01-01T00:00:00.000Z' }),
    );
    await planIs(11, 'ada', 'new');
    await on.drained();
    await planIs(11, 'ada', 'new');
  });

  test.each([true, false])(
    'makes a trait that an SDK set follow Core where Core has it, whatever the setting at that time (%s)',
    async (allowed) => {
      const id = allowed ? 15 : 16;
      await on.project(id);
      await on.core(`UPDATE environments_environment SET allow_client_traits = ${allowed} WHERE id = ${id}`);
      await on.migrate(id);
      await putInCore(id, id * 100, 'ada');
      await on.publish(written(id, 'ada', { traitGates: ['clientTraits', 'persistTraitData'] }));
      await planIs(id, 'ada', 'gold');
    },
  );

  test('keeps traits that are only on Edge when Core may have ignored them or the event cannot name them', async () => {
    await on.project(12);
    await on.migrate(12);
    await putInCore(12, 1201, 'ada', 'new');
    await on.putInEdge('key-12', 'ada', { plan: 'old', own: 'kept' }, 1201);
    const touched = (traits: 'all' | string[]) => ({ touched: { traits, overrides: [] } });
    await on.publish(
      written(12, 'ada', { traitGates: ['clientTraits'], ...touched(['own']) }),
      written(12, 'ada', touched('all')),
    );
    await planIs(12, 'ada', 'new');
    await on.drained();
    expect(await on.traits('key-12', 'ada')).toEqual({ plan: 'new', own: 'kept' });
    // A request that deletes it names it.
    await on.publish(written(12, 'ada', touched(['own'])));
    await eventually('it to go', async () => (await on.traits('key-12', 'ada'))?.['own'] === undefined);
  });

  test('finds a write by a server key through its hash', async () => {
    await on.project(13);
    await on.rows({
      environments_environmentapikey: [
        { id: 13, key: 'ser.secret', name: 'key', environment_id: 13, created_at: new Date(), active: true },
      ],
    });
    await on.migrate(13);
    await putInCore(13, 1301, 'ada');
    const serverKeySha256 = Buffer.from(
      await crypto.subtle.digest('SHA-256', new TextEncoder().encode('ser.secret')),
    ).toString('hex');
    await on.publish(
      written(13, 'ada', { target: { kind: 'identity', environment: { serverKeySha256 }, identifier: 'ada' } }),
    );
    await planIs(13, 'ada', 'gold');
  });

  test('handles an event of unknown outcome once more when the API can no longer be processing it', async () => {
    await on.project(14);
    await on.migrate(14);
    await on.publish(written(14, 'ada', { outcome: 'unknown' }));
    await eventually(
      'the first handling',
      async () => (await on.manager.consumers.list('IDENTITY_WRITES').next())[0]?.num_ack_pending === 1,
    );
    await putInCore(14, 1401, 'ada');
    await planIs(14, 'ada', 'gold');
    await on.drained();
  });
});

describe('an applier, while the copy runs', () => {
  test('handles a removal again when the copy is complete, because the copy may have written an older page', async () => {
    await on.project(20);
    await on.migrate(20, {}, COPYING);
    await on.publish(written(20, 'ada'));
    await eventually('the removal to be parked', async () => (await on.parked())['identity.parked.20.copying'] === 1);
    await on.drained();
    // The copy writes data read before Core deleted the identity.
    await putInCore(20, 2001, 'ada');
    await on.publish(written(20, 'ada'));
    await planIs(20, 'ada', 'gold');
    await on.core(
      'DELETE FROM environments_trait WHERE identity_id = 2001',
      'DELETE FROM environments_identity WHERE id = 2001',
    );
    await on.migrate(20, {}, COPIED);
    await isGone(20, 'ada');
    await on.drained();
  });

  test('does not hold back what is in Core', async () => {
    await on.project(21);
    await on.migrate(21, {}, COPYING);
    await putInCore(21, 2101, 'ada');
    await on.publish(written(21, 'ada'));
    await planIs(21, 'ada', 'gold');
    await on.drained();
    expect((await on.parked())['identity.parked.21.copying']).toBeUndefined();
  });
});

describe('an applier, when the EdgeMigration is not active', () => {
  test.each<[string, number, (id: number) => Promise<void>]>([
    ['there is none', 30, async () => {}],
    ['it is in mode Plan', 31, (id) => on.migrate(id, { mode: 'Plan' })],
    ['it was rejected', 32, (id) => on.migrate(id, {}, { Accepted: 'False', Succeeded: 'Unknown' })],
    ['it has finished', 33, (id) => on.migrate(id, {}, { ...COPIED, Succeeded: 'True' })],
    ['its window has closed', 34, (id) => on.migrate(id, {}, COPIED, deadline(-1000))],
    [
      'it was deleted',
      35,
      async (id) => {
        await on.migrate(id);
        await on.endMigration(id);
      },
    ],
  ])('%s: nothing reaches Edge', async (_, id, prepare) => {
    await on.project(id);
    await prepare(id);
    await putInCore(id, id * 100, 'ada');
    await on.publish(written(id, 'ada'));
    await on.drained();
    expect(await on.document(`key-${id}`, 'ada')).toBeUndefined();
    expect(Object.keys(await on.parked()).filter((subject) => subject.startsWith(`identity.parked.${id}.`))).toEqual(
      [],
    );
  });

  test('applies an event observed before the deadline, however late it comes', async () => {
    await on.project(36);
    await putInCore(36, 3601, 'ada');
    await on.migrate(36, {}, COPIED, deadline(-1000));
    await on.publish(written(36, 'ada', { observedTime: new Date(Date.now() - 60_000).toISOString() }));
    await planIs(36, 'ada', 'gold');
  });

  test('keeps events of a suspended project, and all reach Edge when it is resumed', {
    timeout: 600_000,
  }, async () => {
    await on.project(37);
    await on.migrate(37, { suspend: true });
    const names = Array.from({ length: 300 }, (_, index) => `person-${index}`);
    await on.rows({
      environments_identity: names.map((identifier, index) => ({ id: 37_000 + index, identifier, environment_id: 37 })),
    });
    await on.publish(...names.map((name) => written(37, name)));
    await on.drained();
    expect((await on.parked())['identity.parked.37.suspended']).toBe(300);
    expect((await on.tables.scan()).filter((item) => item['environment_api_key']?.S === 'key-37')).toHaveLength(0);
    await on.migrate(37, { suspend: false });
    await eventually('all to be in Edge', async () => {
      const items = await on.tables.scan();
      return items.filter((item) => item['environment_api_key']?.S === 'key-37').length === 300;
    });
  });

  test('drops the events of a suspended project whose EdgeMigration is deleted', async () => {
    await on.project(38);
    await on.migrate(38, { suspend: true });
    await putInCore(38, 3801, 'ada');
    await on.publish(written(38, 'ada'));
    await eventually('it to be parked', async () => (await on.parked())['identity.parked.38.suspended'] === 1);
    await on.endMigration(38);
    await eventually(
      'it to be forgotten',
      async () => (await on.parked())['identity.parked.38.suspended'] === undefined,
    );
    await on.drained();
    expect(await on.document('key-38', 'ada')).toBeUndefined();
  });
});

describe('an applier, given what it cannot handle', () => {
  test('parks a message that is no event with the reason, and ignores test events', async () => {
    await on.publishRaw('identity.writes.event', 'nonsense');
    await on.publishRaw('identity.writes.probe.uid', '{}');
    await eventually('it to be parked', async () => (await on.poison(0)).length === 1);
    await on.drained();
    const message = await on.manager.streams.getMessage('IDENTITY_WRITES_PARKED', {
      last_by_subj: 'identity.parked.0.poison.>',
    });
    expect(message?.header.get('Edge-Migration-Reason')).toBe('not JSON');
  });

  test('an event with a value that a store would refuse goes aside alone; those that came with it are applied', async () => {
    await on.project(41);
    await on.migrate(41);
    const people = Array.from({ length: 30 }, (_, index) => `person-${index}`);
    for (const [index, identifier] of people.entries()) await putInCore(41, 4100 + index, identifier);
    const before = (await on.poison(0)).length;
    const target = (changes: object) => ({ target: changes }) as Pick<WriteEvent, 'target'>;
    const poison = [
      written(41, 'a\u0000a'),
      written(41, 'a\ud800'),
      written(41, 'ada', { touched: { traits: [], overrides: [2 ** 40] } }),
      written(41, '', target({ kind: 'identityId', identityId: 2 ** 40 })),
      written(41, '', target({ kind: 'feature', projectId: 41, featureId: 2 ** 40 })),
      written(41, 'ada', target({ kind: 'identity', environment: { clientKey: 'k\u0000' }, identifier: 'ada' })),
      written(41, 'ada', target({ kind: 'identity', environment: { environmentId: 2 ** 40 }, identifier: 'ada' })),
      written(41, 'ada', { observedTime: '2199-01-01T00:00:00.000Z' }),
    ];
    const events = people.map((identifier) => written(41, identifier));
    await on.publish(...events.slice(0, 15), ...poison, ...events.slice(15));
    for (const identifier of people) await planIs(41, identifier, 'gold');
    await on.drained();
    expect(await on.poison(0)).toHaveLength(before + poison.length);
    expect(Object.keys(await on.parked()).filter((subject) => subject.startsWith('identity.parked.41.'))).toEqual([]);
  });

  test('parks an event that fails repeatedly without holding up others, and retries it on spec.retry', async () => {
    await on.project(40);
    await on.migrate(40);
    await putInCore(40, 4001, 'ada');
    // Postgres rejects such an id, and the appliers' derived events are not validated.
    const cursor = derivedHeaders({ from: 'core', round: 0, after: '99999999999' });
    const target = { kind: 'feature', projectId: 40, featureId: 1 } as const;
    await on.publishRaw(derivedSubject(40), JSON.stringify(written(40, '', { target })), cursor);
    await on.publish(written(40, 'ada'));
    await planIs(40, 'ada', 'gold');
    await eventually('it to be parked', async () => (await on.poison(40)).join() === '-');
    await on.drained();
    const message = await on.manager.streams.getMessage('IDENTITY_WRITES_PARKED', {
      last_by_subj: 'identity.parked.40.poison.>',
    });
    expect(message?.header.get('Edge-Migration-Reason')).toMatch(/^CoreError: /);
    await on.migrate(40, { retry: 'v1.2' });
    await eventually('it to be parked again', async () => (await on.poison(40)).join() === 'v1.2');
  });
});

test('reports per project what it did', async () => {
  await on.project(50);
  await on.migrate(50);
  await putInCore(50, 5001, 'ada');
  await on.publish(written(50, 'ada'), written(50, 'nobody'));
  await on.drained();
  const drained = Date.now();
  const report = await waitFor(
    async () => {
      const [one] = await on.reports();
      const project = one?.projects.find(({ projectId }) => projectId === 50);
      return one && project && Date.parse(one.time) > drained ? { one, project } : undefined;
    },
    { for: 'a report since' },
  );
  expect(report.project).toMatchObject({ applied: { inserted: 1, absent: 1 }, inHand: 0, failed: 0 });
  expect(report.project.lastAppliedTime).not.toBeNull();
  expect(report.one).toMatchObject({ instance: 'applier', confirmed: true, outage: null, goodbye: false });
});
