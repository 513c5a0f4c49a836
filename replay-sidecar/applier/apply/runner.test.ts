import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import type { CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { describe, expect, test } from 'vitest';
import { derivedHeaders, keepHeaders, markListing, type Work } from '../consume/delivery.ts';
import type { EventRunnerOptions } from './runner.ts';
import {
  ADA,
  apply,
  createParts,
  DOCUMENT,
  environment,
  found,
  PROJECT,
  repeats,
  stores,
  work,
} from './testing/runner.ts';

const LISTED = { projectId: PROJECT, reason: 'unstorable', environmentId: 3, identityId: 4, cause: 'NumberNotFinite' };

test('an event that lists an identity that Edge cannot hold waits again after each try, although an older check still shows it', async () => {
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
  [100_000, 'is parked for minutes', [{ projectId: PROJECT, reason: 'repeat' }]],
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
