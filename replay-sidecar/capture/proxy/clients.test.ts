import { createMetrics } from '@edge-migration/runtime/metrics.ts';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Budget } from './budget.ts';
import { type Client, Clients, EXPENDABLE } from './clients.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { createCounters } from './metrics.ts';

const LIMITS = { ...DEFAULT_LIMITS, clients: 3, clientsAtMost: 4, headsTotalBytes: 100_000 };

class FakeClient implements Client {
  standing: Client['standing'];
  readonly since: number;
  readonly name: string;

  constructor(standing: Client['standing'], since: number) {
    this.standing = standing;
    this.since = since;
    this.name = `${standing} since ${since}`;
  }

  cut(): void {
    this.standing = 'busy';
    cut.push(this.name);
  }
}

let cut: string[];
beforeEach(() => {
  cut = [];
});

function clientsOf(standings: readonly (readonly [Client['standing'], number])[], heldBytes = 1_000_000) {
  const counters = createCounters(createMetrics(), () => ({ clients: 0, upstreamBusy: 0, upstreamIdle: 0 }));
  const budget = new Budget(heldBytes);
  const clients = new Clients<FakeClient>(LIMITS, counters, budget);
  const all = standings.map(([standing, since]) => new FakeClient(standing, since));
  for (const client of all) clients.add(client);
  return { clients, counters, budget, all };
}

describe('room for one more connection comes from', () => {
  test.each([
    [
      'no connection while there is room',
      [
        ['idle', 1],
        ['idle', 2],
      ],
      [],
    ],
    [
      'who has been idle for longest',
      [
        ['idle', 3],
        ['idle', 1],
        ['idle', 2],
      ],
      ['idle since 1'],
    ],
    [
      'who only leaves, before all others',
      [
        ['idle', 1],
        ['leaving', 9],
        ['asking', 2],
      ],
      ['leaving since 9'],
    ],
    [
      'who is asking, before the idle',
      [
        ['idle', 1],
        ['asking', 9],
        ['slow', 1],
      ],
      ['asking since 9'],
    ],
    [
      'who is slow, before who waits for the API',
      [
        ['busy', 1],
        ['slow', 9],
        ['busy', 2],
      ],
      ['slow since 9'],
    ],
  ] as const)('%s', (_name, standings, victims) => {
    expect(clientsOf(standings).clients.makeRoom()).toBe(true);
    expect(cut).toEqual(victims);
  });

  test('no connection while all wait for the API, up to a higher limit', () => {
    const { clients, counters } = clientsOf([
      ['busy', 1],
      ['busy', 2],
      ['busy', 3],
    ]);
    expect(clients.makeRoom()).toBe(true);
    clients.add(new FakeClient('busy', 4));
    expect(clients.makeRoom()).toBe(false);
    expect(cut).toEqual([]);
    expect(counters.cutConnections.refused).toBe(1);
  });
});

describe('heads', () => {
  test('that are small are held without limit', () => {
    const { clients, all } = clientsOf(Array.from({ length: 100 }, (_, n) => ['asking', n] as const));
    expect(all.every((client) => clients.holdHead(client, LIMITS.smallHeadBytes))).toBe(true);
  });

  test('take room from the oldest that is not complete, which may be the one that grows', () => {
    const { clients, all } = clientsOf([
      ['asking', 1],
      ['busy', 0],
      ['asking', 2],
    ]);
    const [oldest, answered, youngest] = all as [FakeClient, FakeClient, FakeClient];
    expect(clients.holdHead(answered, 40_000)).toBe(true);
    expect(clients.holdHead(oldest, 40_000)).toBe(true);
    expect(clients.holdHead(oldest, 70_000)).toBe(false);
    expect(clients.holdHead(oldest, 40_000)).toBe(true);
    expect(clients.holdHead(youngest, 40_000)).toBe(true);
    expect(cut).toEqual(['asking since 1']);
    expect(clients.holdHead(youngest, 61_000)).toBe(false);
  });

  test('find room regardless of what bodies hold, after which bodies get no more', () => {
    const { clients, budget, all } = clientsOf([['asking', 1]], 90_000);
    expect(budget.reserve(90_000)).toBe(true);
    expect(clients.holdHead(all[0] as FakeClient, 40_000)).toBe(true);
    budget.release(90_000);
    expect(budget.reserve(60_000)).toBe(false);
    expect(budget.reserve(50_000)).toBe(true);
  });

  test('share the memory for bodies, and never hold more than their part, in whatever order they come and go', () => {
    const step = fc.tuple(
      fc.nat(4),
      fc.integer({ min: 0, max: 90_000 }),
      fc.constantFrom(...EXPENDABLE, 'busy' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { clients, budget, all } = clientsOf(
          Array.from({ length: 5 }, (_, n) => ['asking', n] as const),
          90_000,
        );
        for (const [index, bytes, standing] of steps) {
          const client = all[index] as FakeClient;
          client.standing = standing;
          clients.holdHead(client, bytes);
        }
        for (const client of all) clients.delete(client);
        // All was given back, to the byte.
        expect(budget.reserve(90_000)).toBe(true);
        expect(budget.reserve(1)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
