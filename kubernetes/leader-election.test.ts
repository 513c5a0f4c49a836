import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFakeClock, type FakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type KubernetesClient } from './client.ts';
import { LeadershipLostError } from './errors.ts';
import { LeaderElection, type LeaderElectionSettings, type Leadership } from './leader-election.ts';
import type { LeaseBefore } from './lease.ts';
import { type FakeApiServer, type ReceivedRequest, startFakeApiServer } from './testing/fake-api-server.ts';
import { leases, widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

/** A process that stands for election, with a clock of its own. */
interface Candidate {
  clock: FakeClock;
  client: KubernetesClient;
  registry: Registry;
  stop: AbortController;
  leadership: Leadership | undefined;
  /** What `lead` waits for before it returns, once its signal has aborted. */
  cleanup: PromiseWithResolvers<void>;
  ended: boolean;
  running: Promise<unknown>;
}

let server: FakeApiServer;
let candidates: Candidate[];

const lease = { namespace: 'system', name: 'operator' };
const writesOfLease = ({ verb, resource }: ReceivedRequest) => resource === leases && verb !== 'get';
const spec = () => server.store.find(leases, lease)?.['spec'] as Record<string, unknown>;

beforeEach(async () => {
  server = await startFakeApiServer([leases, widgets]);
  candidates = [];
});

afterEach(async () => {
  for (const { stop, cleanup } of candidates) {
    stop.abort(new Error('test over'));
    cleanup.resolve();
  }
  for (const { running, client, clock } of candidates) {
    await running;
    await client.close();
    expect(clock.pending()).toEqual([]);
  }
  await server.stop();
});

function stand(identity: string, settings: Partial<LeaderElectionSettings> = {}): Candidate {
  const clock = createFakeClock();
  const client = createClient({ kubeConfig: server.kubeConfig(), clock, userAgent: identity });
  const registry = new Registry();
  const stop = new AbortController();
  const election = new LeaderElection({
    ...{ client, clock, registry, identity, ...lease },
    logger: createLogger('test', 'silent'),
    random: () => 0.5,
    ...settings,
  });
  const candidate: Candidate = {
    ...{ clock, client, registry, stop, leadership: undefined, ended: false },
    cleanup: Promise.withResolvers<void>(),
    running: Promise.resolve(),
  };
  candidate.running = election
    .run(stop.signal, async (leadership) => {
      candidate.leadership = leadership;
      await new Promise((resolve) => leadership.signal.addEventListener('abort', resolve, { once: true }));
      await candidate.cleanup.promise;
    })
    .catch((error: unknown) => error)
    .finally(() => {
      candidate.ended = true;
    });
  candidates.push(candidate);
  return candidate;
}

async function elected(candidate: Candidate): Promise<Leadership> {
  await until(() => candidate.leadership !== undefined);
  await until(() => candidate.clock.pending().length === 1);
  return candidate.leadership!;
}

/** Advances time for a candidate, letting each of its requests finish before time goes on. */
async function pass(candidate: Candidate, milliseconds: number) {
  for (let left = milliseconds; left > 0 && !candidate.ended; left -= 100) {
    await candidate.clock.advance(Math.min(left, 100));
    await until(() => candidate.ended || candidate.clock.pending().some((due) => due <= 4_400));
  }
}

describe('an election', () => {
  it('an election lets each leader leave a message to the next, in the writes that hold the lease', async () => {
    const befores: LeaseBefore[] = [];
    const note = (who: string) => (before: LeaseBefore) => {
      befores.push(before);
      return { word: `${before.annotations['word'] ?? ''}${who}` };
    };
    const first = stand('first', { annotate: note('a') });
    await elected(first);
    expect(befores).toEqual([
      { annotations: {}, renewedTime: undefined, seenRenewedAfter: Number.NEGATIVE_INFINITY, isRenewal: false },
    ]);
    expect(server.store.find(leases, lease)?.metadata.annotations).toEqual({ word: 'a' });
    await pass(first, 2_500);
    expect(befores.at(-1)).toMatchObject({ annotations: { word: 'a' }, isRenewal: true });
    const renewed = Date.parse(spec()['renewTime'] as string);
    const second = stand('second', { annotate: note('b') });
    await until(() => second.clock.pending().length === 1);
    befores.length = 0;
    await second.clock.advance(20_000);
    await elected(second);
    // A lease that was never seen to change does not show when its holder was last active.
    expect(befores).toEqual([
      {
        annotations: { word: 'aa' },
        renewedTime: renewed,
        seenRenewedAfter: Number.NEGATIVE_INFINITY,
        isRenewal: false,
      },
    ]);
    expect(server.store.find(leases, lease)?.metadata.annotations).toEqual({ word: 'aab' });
  });

  it('an election tells the next leader whether, and after when, the previous renewal was seen', async () => {
    const befores: LeaseBefore[] = [];
    const first = stand('first');
    await elected(first);
    const second = stand('second', {
      annotate(before) {
        befores.push(before);
        return {};
      },
    });
    await until(() => second.clock.pending().length === 1);
    const readAt = second.clock.monotonic();
    await pass(first, 2_500);
    await second.clock.advance(3_000);
    await until(() => second.clock.pending().length === 1);
    await second.clock.advance(20_000);
    await elected(second);
    expect(befores[0]?.seenRenewedAfter).toBe(readAt);
  });

  it('an election has one winner, who writes the lease as client-go does', async () => {
    const first = stand('first');
    expect((await elected(first)).epoch).toBe(0);
    expect(spec()).toEqual({
      holderIdentity: 'first',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
    const second = stand('second');
    await until(() => second.clock.pending().length === 1);
    expect(second.leadership).toBeUndefined();
    expect(await first.registry.metrics()).toContain('leader_election_master_status{name="operator"} 1');
    expect(await second.registry.metrics()).toContain('leader_election_master_status{name="operator"} 0');
  });

  it('an election has one winner when both find the lease free at the same time', async () => {
    const both = [stand('first'), stand('second')];
    await until(() => both.every(({ clock }) => clock.pending()[0]! <= 4_400));
    expect(both.filter(({ leadership }) => leadership !== undefined)).toHaveLength(1);
  });

  it('an election is won by the other as soon as the leader has stopped, in a later epoch', async () => {
    const first = stand('first');
    await elected(first);
    const second = stand('second');
    await until(() => second.clock.pending().length === 1);
    first.stop.abort(new Error('shutting down'));
    first.cleanup.resolve();
    await first.running;
    expect(spec()).toMatchObject({ holderIdentity: null, leaseDurationSeconds: 1 });
    await second.clock.advance(3_200);
    expect((await elected(second)).epoch).toBe(1);
  });

  it('an election is won by the other one lease duration after the leader’s last observed renewal', async () => {
    const first = stand('first');
    await elected(first);
    const second = stand('second');
    await until(() => second.clock.pending().length === 1);
    await pass(second, 14_900);
    expect(second.leadership).toBeUndefined();
    await pass(second, 3_200);
    await elected(second);
  });

  it.each([5, -5])('an election is not decided by clocks that differ by %i minutes', async (minutes) => {
    const first = stand('first');
    await elected(first);
    const second = stand('second');
    second.clock.skew(minutes * 60_000);
    for (let i = 0; i < 20; i++) await Promise.all([pass(first, 2_000), pass(second, 2_000)]);
    expect(second.leadership).toBeUndefined();
    expect(first.leadership?.signal.aborted).toBe(false);
  });

  it('an election continues through failures of the API server', async () => {
    server.fail(({ resource }) => resource === leases, { status: 500 }, 3);
    const first = stand('first');
    for (let i = 0; i < 3; i++) {
      await until(() => first.clock.pending()[0] === 3_200);
      await first.clock.advance(3_200);
    }
    await elected(first);
  });

  it('an election refuses times that cannot work', () => {
    expect(() => stand('first', { renewDeadlineMs: 2_100 })).toThrow(RangeError);
  });
});

describe('a leader', () => {
  it('a leader renews every two seconds, and its term stays the same', async () => {
    const first = stand('first');
    await elected(first);
    await pass(first, 20_000);
    expect(server.requests.filter(writesOfLease)).toHaveLength(11);
    expect(spec()).toMatchObject({
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:20.000000Z',
      leaseTransitions: 0,
    });
  });

  it('a leader keeps leading when a renewal arrives but its answer does not', async () => {
    const first = stand('first');
    const leadership = await elected(first);
    server.fail(writesOfLease, 'lost');
    await pass(first, 20_000);
    expect(leadership.signal.aborted).toBe(false);
    expect(spec()).toMatchObject({ leaseTransitions: 0 });
  });

  it.each([{ status: 500 }, 'hang', 'reset'] as const)(
    'a leader that cannot renew (%o) stops within the renew deadline',
    async (fault) => {
      const first = stand('first');
      const leadership = await elected(first);
      server.fail(writesOfLease, fault, Number.POSITIVE_INFINITY);
      await first.clock.advance(9_999);
      expect(() => leadership.assert()).not.toThrow();
      expect(leadership.signal.aborted).toBe(false);
      await first.clock.advance(1);
      expect(() => leadership.assert()).toThrow(LeadershipLostError);
      await until(() => first.ended);
      expect(leadership.signal.reason).toBeInstanceOf(LeadershipLostError);
      expect(await first.running).toBeInstanceOf(LeadershipLostError);
    },
  );

  it.each(['taken', 'deleted'])('a leader whose lease was %s stops at its next renewal', async (how) => {
    const first = stand('first');
    const leadership = await elected(first);
    if (how === 'deleted') server.store.remove(leases, lease);
    else server.store.merge(leases, lease, { spec: { holderIdentity: 'thief' } });
    await first.clock.advance(2_000);
    await until(() => first.ended);
    expect(leadership.signal.reason).toBeInstanceOf(LeadershipLostError);
    expect(() => leadership.assert()).toThrow(LeadershipLostError);
    expect(spec()?.['holderIdentity']).toBe(how === 'deleted' ? undefined : 'thief');
  });

  it('a leader’s term counts from the sending of its last renewal, not from the answer', async () => {
    const first = stand('first');
    const leadership = await elected(first);
    const answer = Promise.withResolvers<void>();
    server.fail(writesOfLease, { after: answer.promise });
    await first.clock.advance(2_000);
    await first.clock.advance(1_500);
    answer.resolve();
    await until(() => first.clock.pending()[0] === 2_000);
    server.fail(writesOfLease, { status: 500 }, Number.POSITIVE_INFINITY);
    await first.clock.advance(8_499);
    leadership.assert();
    await first.clock.advance(1);
    expect(() => leadership.assert()).toThrow(LeadershipLostError);
    await until(() => first.ended);
  });

  it('a leader is not affected when a label is added to its lease', async () => {
    const first = stand('first');
    const leadership = await elected(first);
    server.store.merge(leases, lease, { metadata: { labels: { seen: 'yes' } } });
    await pass(first, 12_000);
    expect(leadership.signal.aborted).toBe(false);
    expect(server.store.find(leases, lease)?.metadata.labels).toEqual({ seen: 'yes' });
  });

  it('a leader keeps its lease while it cleans up, and releases it then', async () => {
    const first = stand('first');
    const leadership = await elected(first);
    first.stop.abort(new Error('shutting down'));
    expect(leadership.signal.aborted).toBe(true);
    await pass(first, 30_000);
    expect(spec()).toMatchObject({ holderIdentity: 'first', renewTime: '2026-01-01T00:00:30.000000Z' });
    leadership.assert();
    first.cleanup.resolve();
    await first.running;
    expect(spec()).toMatchObject({ holderIdentity: null });
    expect(() => leadership.assert()).toThrow(LeadershipLostError);
  });
});

describe('a leader that was frozen past its lease', () => {
  it('a leader frozen past its lease writes nothing more, although no timer has fired yet', async () => {
    const old = stand('old');
    const leadership = await elected(old);
    const fenced = leadership.fence(old.client);
    await fenced.create(widgets, widget('by-old'));

    old.clock.freeze(60_000);
    const young = stand('young');
    await until(() => young.clock.pending().length === 1);
    await pass(young, 18_200);
    await (await elected(young)).fence(young.client).create(widgets, widget('by-young'));

    // It wakes: its signal is not aborted yet.
    expect(leadership.signal.aborted).toBe(false);
    const seen = server.requests.length;
    const target = { namespace: 'default', name: 'by-young' };
    const writes = [
      () => fenced.create(widgets, widget('late')),
      () => fenced.update(widgets, widget('by-old')),
      () => fenced.apply(widgets, widget('late'), { fieldManager: 'm' }),
      () => fenced.patch(widgets, target, { spec: { size: 1 } }),
      () => fenced.delete(widgets, target),
    ];
    for (const write of writes) await expect(write()).rejects.toThrow(LeadershipLostError);
    expect(server.requests).toHaveLength(seen);
    expect(await fenced.get(widgets, target)).toBeDefined();

    await old.clock.advance(0);
    await until(() => old.ended);
    expect(await old.running).toBeInstanceOf(LeadershipLostError);
    expect(spec()).toMatchObject({ holderIdentity: 'young', leaseTransitions: 1 });
  });

  it('a leader writes nothing more after a suspension in which its monotonic clock stopped', async () => {
    const old = stand('old');
    const leadership = await elected(old);
    old.clock.skew(60_000);
    await expect(leadership.fence(old.client).create(widgets, widget('late'))).rejects.toThrow(LeadershipLostError);
    await old.clock.advance(2_000);
    await until(() => old.ended);
  });

  it('a leader frozen past its lease abandons a write that was waiting for its next attempt', async () => {
    const old = stand('old');
    const fenced = (await elected(old)).fence(old.client);
    server.fail(({ resource }) => resource === widgets, { status: 503 });
    const writing = fenced.apply(widgets, widget('late'), { fieldManager: 'm' });
    writing.catch(() => {});
    await until(() => server.requests.some(({ resource }) => resource === widgets));
    await until(() => old.clock.pending()[0]! <= 100);
    old.clock.freeze(60_000);
    await old.clock.advance(0);
    await expect(writing).rejects.toThrow(LeadershipLostError);
    expect(server.requests.filter(({ resource }) => resource === widgets)).toHaveLength(1);
  });
});
