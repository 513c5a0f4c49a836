import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import { CoreUnreachableError } from '@edge-migration/identity/core/errors.ts';
import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { Agreement } from '@edge-migration/identity/edge/other-regions.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import type { JsMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import type { Admission } from '../admit/admission.ts';
import { type Cursor, derivedHeaders, keepHeaders, markListing, markLook, type Work } from '../consume/delivery.ts';
import { createEventRetry } from '../event-retry.ts';
import { createCounts } from '../report/counts.ts';
import { createRepeats } from './repeats.ts';
import { createRunner, type EventRunnerOptions } from './runner.ts';

const PROJECT = 7;
const environment = { id: 3, name: 'main', apiKey: 'key', allowClientTraits: true, useV2FeatureVersioning: false };
/** Core's row of an identity with a number that no document can hold. */
const ADA: CoreIdentity = {
  id: 4,
  identifier: 'ada',
  createdDate: '2026-01-01T00:00:00',
  systemTraits: null,
  traits: [{ id: 1, key: 'plan', type: 'float', value: 'Infinity' }],
  overrides: [],
  overrideWinner: 'latestLiveFrom',
};

/** Edge's earlier document of her. */
const DOCUMENT: Item = {
  composite_key: { S: 'key_ada' },
  environment_api_key: { S: 'key' },
  identifier: { S: 'ada' },
  django_id: { N: '4' },
  identity_traits: { L: [] },
  identity_features: { L: [] },
};

/** A Core that only answers what it has of her. */
const coreOf = (keyed: Core['identities']['keyed']) => ({ identities: { keyed } });
const found = (identity: CoreIdentity, holder = environment.id) =>
  coreOf(async () => ({ holder, identity, size: 100 }));
const EMPTY_CORE = { identities: { identifiers: async () => [], present: async () => new Set() } };

const stores = {
  clock: systemClock,
  edge: { identities: { get: async () => DOCUMENT } },
  core: found(ADA),
} as unknown as Stores;

/** An event that touched nothing that Edge cannot hold. */
function work(fields = headers()): Work & { isDone(): boolean } {
  let done = false;
  const message = {
    subject: derivedSubject(PROJECT),
    data: new Uint8Array(),
    headers: fields,
    seq: 1,
  } as unknown as JsMsg;
  const held = {
    ...{
      message,
      delivered: 0,
      left: () => 30_000,
      doubt() {},
      settle() {},
      isDoubtful: () => false,
      isShared: () => false,
      isOpen: () => !done,
      nak() {},
    },
    ack() {
      done = true;
    },
  };
  const touched = { traits: new Set(['age']), overrides: new Set<string>() };
  const target = { kind: 'identity', environment: { environmentId: environment.id }, identifier: 'ada' } as const;
  const event = { target, touched: { traits: ['age'], overrides: [] }, outcome: 'known' } as unknown as WriteEvent;
  const about = { projectId: PROJECT, environment: environment as CoreEnvironment, identifier: 'ada' };
  const resolution = { kind: 'identity', isGone: false, touched, ...about } as const;
  return { held, event, resolution, began: 0, observed: 0, cursor: undefined, isDone: () => done };
}

const repeats = createRepeats(60);

interface Others {
  readonly between?: Stores;
  charge?(projectId: number, units: number): void;
  readonly publish?: EventRunnerOptions['publish'];
  readonly lookAfter?: EventRunnerOptions['lookAfter'];
  readonly isOver?: boolean;
  readonly elsewhere?: Agreement;
  readonly isAway?: boolean | (() => boolean);
  readonly region?: () => string;
  readonly isResting?: boolean;
  onApplied?(projectId: number, lag: number): void;
}

function createParts(isListed = false, others: Others = {}) {
  const { between = stores, charge = () => {}, publish = async () => {}, lookAfter = () => undefined } = others;
  const { isOver = false, elsewhere = 'same', isAway = false, region = () => 'home', isResting = false } = others;
  const { onApplied = () => {} } = others;
  const parked: unknown[] = [];
  const park: Admission['park'] = (_, projectId, reason, { identity, due, heldIn } = {}) =>
    void parked.push({ projectId, reason, ...identity, ...(due && { due }), ...(heldIn && { heldIn }) });
  const runner = createRunner({
    stores: between,
    aborts: { of: () => new AbortController().signal },
    rateLimiter: { charge },
    admission: {
      admit: (all) => ({ works: all, copying: false }),
      park,
      revisit: (work) => park(work, work.resolution.projectId, 'late'),
    },
    parking: { isListed: () => isListed, wake() {} },
    eventRetry: createEventRetry(systemClock, () => {}),
    repeats,
    counts: createCounts(),
    publish,
    forget() {},
    lookAfter,
    isOver: () => isOver,
    region: async () => region(),
    elsewhere: async () => elsewhere,
    isResting: async () => isResting,
    isAway: () => (typeof isAway === 'function' ? isAway() : isAway),
    wrote() {},
    isBusy: () => false,
    onApplied,
    now: Date.now,
    logger: createLogger('test', 'silent'),
    signal: new AbortController().signal,
  });
  return { parked, runner };
}

/** @returns the parked events */
async function apply(works: readonly Work[], isListed: boolean) {
  const { parked, runner } = createParts(isListed);
  await runner.apply(PROJECT, works);
  return parked;
}

const LISTED = { projectId: PROJECT, reason: 'unstorable', environmentId: 3, identityId: 4, cause: 'NumberNotFinite' };

test('an event that lists an identity that Edge cannot hold waits again after each try, although an older look still shows it', async () => {
  const retried = keepHeaders({
    subject: derivedSubject(PROJECT),
    time: new Date(0),
    headers: derivedHeaders(undefined),
  });
  markListing(retried);
  expect(await apply([work(retried)], true)).toEqual([LISTED]);
  // Also after it has waited for another reason on its way.
  const back = keepHeaders({ subject: `identity.parked.${PROJECT}.overflow`, time: new Date(0), headers: retried });
  expect(await apply([work(back)], true)).toEqual([LISTED]);
});

test('an event that touched nothing that Edge cannot hold waits only while its identity is not listed', async () => {
  expect(await apply([work()], false)).toEqual([LISTED]);
  const other = work();
  expect(await apply([other], true)).toEqual([]);
  expect(other.isDone()).toBe(true);
});

test.each([
  [0, 'waits in the stream for a minute', []],
  [100_000, 'waits aside for minutes', [{ projectId: PROJECT, reason: 'repeat' }]],
])('an event of a background task that ended %i ms ago %s', async (age, _, expected) => {
  const { parked, runner } = createParts();
  const { held, event, ...rest } = work();
  const pauses: number[] = [];
  const observed = Date.now() - age;
  const nak = (pause: number) => void pauses.push(pause);
  const delivery = { ...rest, observed, held: { ...held, nak }, event: { ...event, outcome: 'background' } as const };
  await runner.spread(delivery, { parts: [], projectId: PROJECT });
  const due = Math.ceil((observed + 605_000) / 1000);
  expect(parked).toEqual(expected.map((place) => ({ ...place, due })));
  expect(pauses.length).toBe(1 - expected.length);
  for (const pause of pauses) expect(pause).toBeLessThan(70_000);
});

test('a write for an identity that Edge cannot hold as a whole counts towards the limit of its project', async () => {
  const traits: CoreIdentity['traits'] = [...ADA.traits, { id: 2, key: 'age', type: 'int', value: 37 }];
  const between = {
    clock: systemClock,
    edge: { identities: { get: async () => DOCUMENT, updateIfUnchanged: async () => 'written' } },
    core: found({ ...ADA, traits }),
  } as unknown as Stores;
  const charged: number[] = [];
  const charge = (_: number, units: number) => void charged.push(units);
  await createParts(true, { between, charge }).runner.apply(PROJECT, [work()]);
  await createParts(true, { charge }).runner.apply(PROJECT, [work()]);
  expect(charged).toEqual([3, 0]);
});

test('a fan-out that begins again is not cut short by its first pages, and a repeated page adds none', async () => {
  const between = { clock: systemClock, core: EMPTY_CORE } as unknown as Stores;
  const ids: (string | undefined)[] = [];
  const publish: EventRunnerOptions['publish'] = async (_, __, page) => void ids.push(page?.id);
  const { runner } = createParts(false, { between, publish });
  for (const seq of [1, 1, 2]) {
    const { held, event, ...rest } = work();
    const resolution = { kind: 'environment', projectId: PROJECT, environment, isGone: false } as const;
    const message = { ...held.message, seq } as JsMsg;
    const wide = { ...event, id: 'wide', target: { kind: 'environment', environment: { environmentId: 3 } } } as const;
    await runner.apply(PROJECT, [{ ...rest, held: { ...held, message }, event: wide, resolution }]);
  }
  const [first, again, later] = ids;
  expect(first).toBeDefined();
  expect(again).toBe(first);
  expect(later).not.toBe(first);
});

describe('a fan-out while a region other than the home region is written', () => {
  const edge = { identities: { listEnvironment: async () => ({ documents: [], next: 'ada' }) } };
  const between = { clock: systemClock, core: EMPTY_CORE, edge } as unknown as Stores;

  /** A page of it, and what is parked and published; `isGone`: Core no longer has the environment. */
  function createFanOut(others: Others) {
    const pages: (Cursor | undefined)[] = [];
    const publish: EventRunnerOptions['publish'] = async (_, __, page) => void pages.push(page?.cursor);
    const { parked, runner } = createParts(false, { between, publish, lookAfter: () => 10_000, ...others });
    async function run(cursor: Cursor | undefined, isGone = false) {
      const { event, ...rest } = work();
      const resolution = { kind: 'environment', projectId: PROJECT, environment, isGone } as const;
      const wide = {
        ...event,
        id: 'wide',
        target: { kind: 'environment', environment: { environmentId: 3 } },
      } as const;
      const page = { ...rest, cursor, event: wide, resolution };
      await runner.apply(PROJECT, [page]);
      return page.isDone();
    }
    return { parked, pages, run };
  }

  const FROM_EDGE = { from: 'edge', round: 0, after: null } as const;
  const LOOK = { projectId: PROJECT, reason: 'repeat', due: expect.any(Number) };

  test.each([
    ['documents of Edge', FROM_EDGE, false],
    ['the documents of an environment that Core has deleted', undefined, true],
  ])('waits with a page of %s until the home region is back, and resumes there once', async (_, cursor, isGone) => {
    let isAway = true;
    const { parked, pages, run } = createFanOut({ isAway: () => isAway });
    expect(await run(cursor, isGone)).toBe(false);
    expect({ parked, pages }).toEqual({ parked: [LOOK], pages: [] });
    isAway = false;
    expect(await run(cursor, isGone)).toBe(true);
    const next = expect.objectContaining({ from: 'edge', after: 'ada' });
    expect({ parked, pages }).toEqual({ parked: [LOOK], pages: [next] });
  });

  test("does not wait with a page of Core's identities", async () => {
    const { parked, pages, run } = createFanOut({ isAway: true });
    expect(await run({ ...FROM_EDGE, from: 'core' })).toBe(true);
    expect({ parked, pages }).toEqual({ parked: [], pages: [FROM_EDGE] });
  });

  test('is not finished by a page listed in another region because the home region had gone silent', async () => {
    let isAway = false;
    const listEnvironment = async () => {
      isAway = true;
      return { documents: [], next: undefined };
    };
    const leaving = { ...between, edge: { identities: { listEnvironment } } } as unknown as Stores;
    const { parked, run } = createFanOut({ between: leaving, isAway: () => isAway });
    expect(await run(FROM_EDGE)).toBe(false);
    expect(parked).toEqual([LOOK]);
  });
});

describe('an event derived for another key is handled again after 65 s, because requests may use the former key until then:', () => {
  const edge = { identities: { get: async () => undefined } };
  const under = (holder: number) => ({ ...stores, edge, core: found(ADA, holder) });

  test.each([
    ['under the present key, where it names a former one', under(environment.id), { isFormer: true }, environment.id],
    ['of the environment that has the key now', under(5), {}, 5],
  ])('%s', async (_, between, more, environmentId) => {
    const followers: WriteEvent[] = [];
    const publish: EventRunnerOptions['publish'] = async (_, event) => void followers.push(event);
    const { runner } = createParts(false, { between: between as unknown as Stores, publish });
    const { resolution, ...rest } = work();
    await runner.apply(PROJECT, [{ ...rest, resolution: { ...resolution, ...more } as Work['resolution'] }]);
    expect(followers.map(({ target }) => target)).toEqual([
      { kind: 'identity', environment: { environmentId }, identifier: 'ada' },
    ]);
    for (const event of followers) expect(repeats.next(event, 0, 1)).toBe(65_000);
  });
});

describe('a look on tables of several regions', () => {
  const identity = { ...ADA, traits: [{ id: 2, key: 'age', type: 'int', value: 37 }] };
  const between = {
    clock: systemClock,
    edge: { identities: { get: async () => DOCUMENT, updateIfUnchanged: async () => 'written' } },
    core: found(identity),
  } as unknown as Stores;

  async function look(isOver: boolean, others: Others = { between }, observed = 0, heldIn?: string) {
    const fields = derivedHeaders(undefined);
    markLook(fields, heldIn);
    const looking = { ...work(fields), observed };
    const { parked, runner } = createParts(false, { lookAfter: () => 10_000, isOver, ...others });
    await runner.apply(PROJECT, [looking]);
    return { parked, isDone: looking.isDone() };
  }

  test('that had to write does not report how late events are applied', async () => {
    const lags: number[] = [];
    await look(false, { between, onApplied: (_, lag) => void lags.push(lag) });
    expect(lags).toEqual([]);
  });

  test('that had to write is followed by another look', async () => {
    const due = expect.any(Number);
    expect(await look(false)).toEqual({ parked: [{ projectId: PROJECT, reason: 'repeat', due }], isDone: false });
  });

  test('that had to write is the last one when the window has long closed, however often Edge clients write the same', async () => {
    expect(await look(true)).toEqual({ parked: [], isDone: true });
  });

  test('that had to write is followed by another look even if its retry finds nothing left to write', async () => {
    let document = DOCUMENT;
    let failures = 1;
    const edge = {
      identities: {
        get: async () => document,
        updateIfUnchanged: async (_: string, { set }: { set: Item }) => {
          document = { ...document, ...set };
          return 'written';
        },
      },
    };
    // Core cannot be asked whether it has changed meanwhile.
    const core = coreOf(async () => {
      if (document !== DOCUMENT && failures-- > 0) throw new CoreUnreachableError('gone');
      return { holder: environment.id, identity, size: 100 };
    });
    const failing = { ...between, edge, core } as unknown as Stores;
    expect(await look(false, { between: failing })).toMatchObject({ isDone: false });
    expect(await look(false, { between: failing })).toMatchObject({ isDone: true });
  });

  /** Edge has what Core has. */
  const equal = {
    ...between,
    core: found({ ...ADA, traits: [] }),
  } as unknown as Stores;

  test('is followed by another one if a region lacks the document or cannot be asked, but not if all regions agree', async () => {
    const due = expect.any(Number);
    const waiting = { parked: [{ projectId: PROJECT, reason: 'repeat', due, heldIn: 'home' }], isDone: false };
    expect(await look(false, { between: equal, elsewhere: 'differs' })).toEqual(waiting);
    expect(await look(false, { between: equal, elsewhere: 'unreachable' })).toEqual(waiting);
    expect(await look(false, { between: equal })).toEqual({ parked: [], isDone: true });
  });

  test('is repeated for a region that lacks the document or cannot be asked, even when the window has long closed', async () => {
    expect(await look(true, { between: equal, elsewhere: 'differs' })).toMatchObject({ isDone: false });
    expect(await look(true, { between: equal, elsewhere: 'unreachable' })).toMatchObject({ isDone: false });
  });

  test('does not count if another region becomes the written one meanwhile', async () => {
    const regions = ['us-east-2', 'eu-west-2'];
    const region = () => regions.shift() ?? 'eu-west-2';
    expect(await look(false, { between: equal, region })).toMatchObject({ isDone: false });
    expect(await look(false, { between: equal, region })).toMatchObject({ isDone: true });
  });

  test('is not the last one while a region other than the home region is written', async () => {
    expect(await look(true, { between, isAway: true })).toMatchObject({ isDone: false });
    expect(await look(true, { between: equal, elsewhere: 'differs', isAway: true })).toMatchObject({ isDone: false });
  });

  test('that waits for a silent region costs nothing if the written region was right', async () => {
    let reads = 0;
    const core = coreOf(async () => {
      reads += 1;
      return { holder: environment.id, identity: { ...ADA, traits: [] }, size: 100 };
    });
    const counting = { between: { ...between, core } as unknown as Stores, elsewhere: 'unreachable' } as const;
    const resting = { ...counting, isResting: true };
    expect(await look(false, resting, 0, 'home')).toMatchObject({ parked: [{ heldIn: 'home' }], isDone: false });
    expect(reads).toBe(0);
    // Another region was right then, or the silent one answers.
    expect(await look(false, resting, 0, 'away')).toMatchObject({ parked: [{ heldIn: 'home' }] });
    expect(reads).toBe(1);
    await look(false, counting, 0, 'home');
    expect(reads).toBe(2);
  });

  test('comes later the older the event is while a region is silent, after five minutes at most', async () => {
    const pauses: number[] = [];
    for (const age of [0, 400_000, 86_400_000]) {
      const now = Date.now();
      const { parked } = await look(false, { between: equal, elsewhere: 'unreachable' }, now - age);
      pauses.push(Math.round(((parked[0] as { due: number }).due * 1000 - now) / 1000));
    }
    expect(pauses.map((seconds) => Math.round(seconds / 5) * 5)).toEqual([10, 100, 300]);
  });
});
