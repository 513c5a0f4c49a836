/** The worst effects of an API pod that was taken over (docs/security.md): it has only the sidecars' rights. */
import { randomUUID } from 'node:crypto';
import { derivedSubject, EVENT_SUBJECT } from '@edge-migration/contract/streams/events.ts';
import { derivedHeaders } from '@edge-migration/replay-sidecar/applier/consume/delivery.ts';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { connect, headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { passwordOf } from '../cluster/nats-accounts.ts';
import { createHarness, type Harness, type Item, written } from './applier/harness.ts';

let on: Harness;
let stop: () => Promise<void>;
let taken: NatsConnection;
let stream: JetStreamClient;

beforeAll(async () => {
  on = await createHarness();
  stop = on.start();
  const user = { user: 'sidecar', pass: passwordOf('sidecar') };
  taken = await connect({ servers: on.nats.url, inboxPrefix: '_INBOX.edge-sidecar', ...user });
  stream = jetstream(taken, { timeout: 60_000 });
});
afterAll(async () => {
  await taken?.close();
  await stop();
  await on[Symbol.asyncDispose]();
});

/** Project 1, which migrates, and project 2, which does not; each with a document from Core and one created on Edge. */
async function prepare(): Promise<void> {
  for (const id of [1, 2]) {
    await on.project(id);
    await on.rows({
      environments_identity: [{ id: id * 100, identifier: 'ada', environment_id: id }],
      environments_trait: [
        { id: id * 100, identity_id: id * 100, trait_key: 'plan', value_type: 'unicode', string_value: 'gold' },
      ],
    });
    await on.putInEdge(`key-${id}`, 'ada', { plan: 'gold', own: 'kept' }, id * 100);
    await on.putInEdge(`key-${id}`, 'born', { own: 'kept' });
    // Document of an identity that Core does not have.
    if (id === 2) await on.putInEdge('key-2', 'gone', { own: 'kept' }, 299);
  }
  // A key that no environment of this Core has ever had.
  await on.putInEdge('foreign', 'ada', { own: 'kept' }, 100);
  await on.putInEdge('foreign', 'bob', { own: 'kept' }, 901);
  await on.migrate(1);
}

const documents = async () => (await on.tables.scan()).toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
const keyOf = (item: Item) => item['composite_key']?.S ?? '';

const ALL = { traits: 'all', overrides: 'all', moved: true };

/** Every kind of event, about every environment by every name, with everything that it may touch. */
function forgeries(): object[] {
  const references = [
    ...['key-1', 'key-2', 'foreign'].flatMap((apiKey) => [
      { clientKey: apiKey },
      { environmentId: 1, apiKey },
      { environmentId: 2, apiKey },
    ]),
    { environmentId: 1 },
    { environmentId: 2 },
    { serverKeySha256: '0'.repeat(64) },
  ];
  const targets = [
    ...references.flatMap((environment) => [
      { kind: 'environment', environment },
      ...['ada', 'born', 'gone', 'bob'].map((identifier) => ({ kind: 'identity', environment, identifier })),
      { kind: 'features', of: environment },
    ]),
    ...[100, 200, 299, 901].map((identityId) => ({ kind: 'identityId', identityId })),
    ...[1, 2].flatMap((projectId) => [
      { kind: 'project', projectId },
      { kind: 'feature', projectId, featureId: 1 },
      { kind: 'features', of: { projectId } },
    ]),
    { kind: 'option', optionId: 1 },
    { kind: 'featureState', featureStateId: 1, moved: true },
    { kind: 'deletedProjects' },
  ];
  return targets.map((target) => ({ ...written(1, ''), id: randomUUID(), target, touched: ALL }));
}

test('an API pod that was taken over can at worst make documents agree with Core once more: forged events of every kind change none', {
  timeout: 600_000,
}, async () => {
  await prepare();
  const before = await documents();
  // With an applier's marks, too.
  const marks: (MsgHdrs | undefined)[] = [undefined, derivedHeaders({ from: 'edge', round: 0, after: null })];
  const forged = marks.flatMap((mark) => forgeries().map((event) => [mark, event] as const));
  // Long ago, so that it is handled once.
  const observedTime = new Date(Date.now() - 3_600_000).toISOString();
  for (const [mark, event] of forged) {
    await stream.publish(EVENT_SUBJECT, JSON.stringify({ ...event, observedTime }), mark && { headers: mark });
  }
  await on.drained();
  expect(await documents()).toEqual(before);
  // Forbidden events, and those whose project cannot be determined, are set aside and reported.
  const places = Object.keys(await on.parked()).map((subject) => subject.split('.').slice(0, 4).join('.'));
  expect([...new Set(places)]).toEqual(['identity.parked.0.poison']);
});

test('a compromised pod that names a trait can remove it only from identities of a migrating project, and only on Edge', async () => {
  const touched = { traits: ['own'], overrides: [] };
  await on.publish(written(1, 'ada', { touched }), written(1, 'born', { touched }), written(2, 'ada', { touched }));
  await on.drained();
  expect(await on.traits('key-1', 'ada')).toEqual({ plan: 'gold' });
  expect(await on.traits('key-1', 'born')).toEqual({ own: 'kept' });
  expect(await on.traits('key-2', 'ada')).toEqual({ plan: 'gold', own: 'kept' });
});

test.each([derivedSubject(1), 'identity.parked.1.suspended', 'replay.applier', '$JS.API.STREAM.PURGE.IDENTITY_WRITES'])(
  'a compromised pod cannot publish to %s, where only others publish',
  async (subject) => {
    await expect(stream.publish(subject, '{}')).rejects.toThrow(/permissions violation/i);
  },
);

test.each(['all', 'sub'])('a compromised pod cannot empty the stream by Nats-Rollup: %s', async (rollup) => {
  const fields = headers();
  fields.set('Nats-Rollup', rollup);
  await expect(stream.publish(EVENT_SUBJECT, '{}', { headers: fields })).rejects.toThrow(/rollup/);
});
