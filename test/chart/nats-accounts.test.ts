/** The permissions of each NATS user of the chart on a real server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureApplierStreams, PARKING_STREAM, REPORT_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { COVERAGE_STREAM, EVENT_SUBJECT, ensureStreams, STREAM } from '@edge-migration/contract/streams/events.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { connectNats, inboxPrefix, type NatsRole, natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNats } from '../cluster/nats.ts';
import { type NatsWithAccounts, SIDECAR_API_PREFIX, startNatsWithAccounts } from '../cluster/nats-accounts.ts';
import { CHART, find, render } from './helm.ts';

const STREAMS = [STREAM, PARKING_STREAM, COVERAGE_STREAM, REPORT_STREAM];
const ROLES = ['operator', 'applier', 'sidecar'] as const;
const MIB = 1024 ** 2;

const started = new AsyncDisposableStack();
let nats: NatsWithAccounts;
let administrator: NatsConnection;
let manager: JetStreamManager;
const connections = new Map<NatsRole, NatsConnection>();

beforeAll(async () => {
  const objects = await render('ours', ['--set', 'nats.bundled.enabled=true']);
  const { data } = find(objects, 'ConfigMap', 'edge-migration-nats') as unknown as { data: Record<string, string> };
  expect(data['nats.conf']).toMatch(/^include nats-accounts\.conf$/m);
  // Like servers before 2.12, which ignore request fields that they do not know.
  nats = started.use(await startNatsWithAccounts({ accounts: data['nats-accounts.conf'] ?? '', strict: false }));
  administrator = await connect({ servers: nats.url });
  started.defer(() => administrator.close());
  manager = await jetstreamManager(administrator, { timeout: 60_000 });
  await ensureStreams(manager, { streamReplicas: 1, streamMaxBytes: 64 * MIB, streamDuplicateWindowSeconds: 120 });
  await ensureApplierStreams(manager, { streamReplicas: 1, parkedMaxBytes: 64 * MIB, ackWaitSeconds: 30 });
  for (const role of ROLES) {
    const options = { name: 'test', role, clock: systemClock, signal: AbortSignal.timeout(120_000), onFailure() {} };
    const settings = { natsServers: natsSettings.natsServers.parse(nats.urlOf(role)), natsTlsFirst: false };
    const connection = await connectNats(settings, options);
    started.defer(() => connection.close());
    connections.set(role, connection);
  }
});

afterAll(() => started.disposeAsync());

const as = (role: NatsRole) => connections.get(role)!;
const publish = (subject: string, text: string) => jetstream(administrator, { timeout: 60_000 }).publish(subject, text);

/** The result of a request: the server's answer, or that it is not allowed. */
async function request(role: NatsRole, subject: string, payload = '', fields: Record<string, string> = {}) {
  const given = headers();
  for (const [name, value] of Object.entries(fields)) given.set(name, value);
  try {
    return (await as(role).request(subject, payload, { timeout: 60_000, headers: given })).string();
  } catch (error) {
    const { cause } = error as Error;
    if (error instanceof PermissionViolationError || cause instanceof PermissionViolationError) return 'not allowed';
    throw error;
  }
}

/** Whether the server allows the subscription. */
async function mayHear(role: NatsRole, subject: string): Promise<boolean> {
  const refused = Promise.withResolvers<boolean>();
  const subscription = as(role).subscribe(subject, {
    callback(error) {
      if (error instanceof PermissionViolationError) refused.resolve(false);
    },
  });
  await as(role).flush();
  const allowed = as(role)
    .flush()
    .then(() => true);
  const result = await Promise.race([refused.promise, allowed]);
  if (!subscription.isClosed()) subscription.unsubscribe();
  return result;
}

async function countMessages(): Promise<Record<string, number>> {
  const infos = await Promise.all(STREAMS.map((stream) => manager.streams.info(stream)));
  return Object.fromEntries(infos.map(({ config, state }) => [config.name, state.messages]));
}

/** All JetStream API requests about a stream. */
const apiOf = (stream: string) => [
  ...[
    'CREATE',
    'UPDATE',
    'DELETE',
    'PURGE',
    'INFO',
    'MSG.GET',
    'MSG.DELETE',
    'SNAPSHOT',
    'RESTORE',
    'LEADER.STEPDOWN',
  ].map((call) => `$JS.API.STREAM.${call}.${stream}`),
  `$JS.API.DIRECT.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}.identity.writes.event`,
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.other`,
  `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.other`,
  ...['CREATE', 'DELETE', 'INFO', 'PAUSE', 'RESET', 'UNPIN', 'LEADER.STEPDOWN', 'MSG.NEXT'].map(
    (call) => `$JS.API.CONSUMER.${call}.${stream}.edge-applier`,
  ),
  `$JS.ACK.${stream}.edge-applier.1.1.1.1.0`,
];
const SUBJECTS = [
  EVENT_SUBJECT,
  'identity.writes.probe.uid-1',
  'identity.writes.derived.42',
  'identity.writes.other',
  'identity.parked.42.poison.-',
  'coverage.uid-1',
  'replay.process-1',
  '$JS.API.INFO',
  '$JS.API.STREAM.NAMES',
  '$JS.API.STREAM.LIST',
  '$JS.API.STREAM.CREATE.OTHER',
  '$SYS.REQ.SERVER.PING',
  '_INBOX.edge-sidecar.x.1',
  '_INBOX.edge-applier.x.1',
  '_INBOX.edge-operator.x.1',
];
const EVERYTHING = [...STREAMS.flatMap(apiOf), ...SUBJECTS];

const api = (...calls: string[]) => calls.map((call) => `$JS.API.${call}`);
/** The allowed ones among them; the rest must be refused. */
const ALLOWED: Record<NatsRole, readonly string[]> = {
  sidecar: [EVENT_SUBJECT, 'identity.writes.probe.uid-1', 'coverage.uid-1'],
  operator: [
    'coverage.uid-1',
    ...api('INFO', ...STREAMS.map((stream) => `STREAM.INFO.${stream}`)),
    ...api(...[STREAM, COVERAGE_STREAM].flatMap((name) => [`STREAM.CREATE.${name}`, `STREAM.UPDATE.${name}`])),
    ...api(...[COVERAGE_STREAM, REPORT_STREAM].map((name) => `DIRECT.GET.${name}`)),
  ],
  applier: [
    'identity.writes.derived.42',
    'identity.parked.42.poison.-',
    'replay.process-1',
    ...api('INFO', ...[STREAM, PARKING_STREAM, REPORT_STREAM].map((stream) => `STREAM.INFO.${stream}`)),
    ...api(...[PARKING_STREAM, REPORT_STREAM].flatMap((name) => [`STREAM.CREATE.${name}`, `STREAM.UPDATE.${name}`])),
    ...api(...['CREATE', 'INFO', 'MSG.NEXT'].map((call) => `CONSUMER.${call}.${STREAM}.edge-applier`)),
    ...api(`CONSUMER.CREATE.${STREAM}.other`),
    ...api(`DIRECT.GET.${STREAM}`, `STREAM.MSG.DELETE.${STREAM}`),
    ...api(`DIRECT.GET.${PARKING_STREAM}`, `STREAM.PURGE.${PARKING_STREAM}`),
    `$JS.ACK.${STREAM}.edge-applier.1.1.1.1.0`,
  ],
};

describe.each(ROLES)('the NATS permissions of the %s', (role) => {
  it('may publish to what it needs and to nothing else', async () => {
    const connection = as(role);
    const refused = new Set<string>();
    const watching = (async () => {
      for await (const status of connection.status()) {
        if (status.type === 'error' && status.error instanceof PermissionViolationError) {
          refused.add(status.error.subject);
          if (status.error.subject === 'the.end') return;
        }
      }
    })();
    // Allowed requests are not really made, since a purge would be destructive.
    for (const subject of EVERYTHING) if (!ALLOWED[role].includes(subject)) connection.publish(subject, '');
    connection.publish('the.end', '');
    await watching;
    expect(EVERYTHING.filter((subject) => !refused.has(subject)).toSorted()).toEqual(ALLOWED[role].toSorted());
  });

  it('hears the answers to its own requests alone', async () => {
    const others = ROLES.filter((other) => other !== role).map((other) => `${inboxPrefix(other)}.>`);
    const subjects = [
      '>',
      '_INBOX.>',
      '_INBOX.*',
      ...others,
      EVENT_SUBJECT,
      'identity.>',
      'coverage.*',
      'replay.*',
      '$JS.>',
    ];
    for (const subject of subjects) expect([subject, await mayHear(role, subject)]).toEqual([subject, false]);
    expect(await mayHear(role, `${inboxPrefix(role)}.>`)).toBe(true);
  });
});

describe('the sidecar, in a NATS account without JetStream,', () => {
  it('publishes deduplicated events, test events, and reports', async () => {
    const id = { 'Nats-Msg-Id': 'one' };
    const first = await request('sidecar', EVENT_SUBJECT, '{}', id);
    expect(JSON.parse(first)).toMatchObject({ stream: STREAM });
    expect(JSON.parse(await request('sidecar', EVENT_SUBJECT, '{}', id))).toMatchObject({ duplicate: true });
    const probe = await request('sidecar', 'identity.writes.probe.uid-1', '{}', { 'Nats-TTL': '60s' });
    expect(JSON.parse(probe)).toMatchObject({ stream: STREAM });
    expect(JSON.parse(await request('sidecar', 'coverage.uid-1', '{}'))).toMatchObject({ stream: COVERAGE_STREAM });
  });

  it('reads how far the event stream has got, under the prefix set in its manifests', async () => {
    const own = await jetstreamManager(as('sidecar'), { checkAPI: false, apiPrefix: SIDECAR_API_PREFIX });
    expect((await own.streams.info(STREAM)).state.last_seq).toBeGreaterThan(0);
    await expect(own.streams.info(COVERAGE_STREAM)).rejects.toThrow(/permissions violation/i);
  });

  it('cannot empty the stream by a header', async () => {
    await publish(EVENT_SUBJECT, 'of another pod');
    const before = await countMessages();
    for (const rollup of ['all', 'sub']) {
      const answer = await request('sidecar', EVENT_SUBJECT, '{}', { 'Nats-Rollup': rollup });
      expect(answer).toContain('rollup not permitted');
    }
    expect(await countMessages()).toEqual(before);
  });

  it('cannot make the server act for it by the subject that it wants the answer on', async () => {
    for (let count = 0; count < 3; count++) await publish(EVENT_SUBJECT, 'of another pod');
    await publish('identity.parked.42.suspended.-', 'waits');
    await publish('replay.process-1', 'report');
    const before = await countMessages();
    const replies = [...STREAMS.flatMap(apiOf).filter((subject) => !subject.startsWith('$JS.ACK')), ...SUBJECTS];
    for (const reply of replies) as('sidecar').publish(EVENT_SUBJECT, '{}', { reply });
    await request('sidecar', EVENT_SUBJECT, '{}');
    await manager.getAccountInfo();
    const events = before[STREAM]! + replies.length + 1;
    expect(await countMessages()).toEqual({ ...before, [STREAM]: events });
    const { state } = await manager.streams.info(STREAM, { subjects_filter: '>' });
    expect(Object.keys(state.subjects ?? {}).toSorted()).toEqual([EVENT_SUBJECT, 'identity.writes.probe.uid-1']);
  });
});

it('NATS rejects connections without a known user and its password', async () => {
  const config = readFileSync(join(CHART, 'files/nats-accounts.conf'), 'utf8').replace(/\$EDGE_MIGRATION\w+/g, 'word');
  await using server = await startNats({ config });
  for (const given of [{}, { user: 'sidecar', pass: 'another' }, { user: 'unknown', pass: 'word' }]) {
    await expect(connect({ servers: server.url, ...given, reconnect: false })).rejects.toThrow(/authorization/i);
  }
});

it('NATS keeps a reply from emptying the event stream even when all users share one account', async () => {
  await publish(EVENT_SUBJECT, 'of another pod');
  const { messages } = (await manager.streams.info(STREAM)).state;
  // Not even an administrator, who may do anything else, can do this.
  administrator.publish(EVENT_SUBJECT, '{}', { reply: `$JS.API.STREAM.PURGE.${STREAM}` });
  await jetstream(administrator, { timeout: 60_000 }).publish(EVENT_SUBJECT, '{}');
  await manager.getAccountInfo();
  expect((await manager.streams.info(STREAM)).state.messages).toBe(messages + 2);
});

it('every stream has limits on everything', async () => {
  for (const stream of STREAMS) {
    const { config } = await manager.streams.info(stream);
    for (const limit of ['max_bytes', 'max_msgs_per_subject', 'max_msg_size'] as const) {
      expect([stream, limit, config[limit]]).toEqual([stream, limit, expect.toSatisfy((value: number) => value > 0)]);
    }
  }
});

it('no stream drops an old event to make room for a new one', async () => {
  for (const stream of [STREAM, PARKING_STREAM]) {
    const { config } = await manager.streams.info(stream);
    expect(config).toMatchObject({ discard: 'new', discard_new_per_subject: true });
  }
});
