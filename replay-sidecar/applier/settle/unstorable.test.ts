import { placeSubject } from '@edge-migration/contract/parked-place.ts';
import type { Pending, Touched } from '@edge-migration/identity/edge/merge.ts';
import { describe, expect, test } from 'vitest';
import { chooseWaiting, createRetries } from './unstorable.ts';

const touched = (...traits: string[]): Touched => ({ traits: new Set(traits), overrides: new Set() });
const pending = (...traits: string[]): Pending => ({ traits: new Set(traits), overrides: new Set() });

describe('of events of one identity that Edge cannot hold', () => {
  test('those that touched what is pending wait', () => {
    const events = [touched('plan'), touched('age'), touched('age', 'plan', 'note')];
    expect([...chooseWaiting(events, pending('age'), true)]).toEqual([2]);
    expect([...chooseWaiting(events, pending('other'), true)]).toEqual([]);
  });

  test('one of many that touched the same waits', () => {
    const events = Array.from({ length: 1000 }, (_, index) => touched('plan', String(index % 3)));
    expect(chooseWaiting(events, pending('plan'), true).size).toBe(3);
    expect(chooseWaiting([...events, { ...touched(), traits: 'all' }], pending('plan'), true).size).toBe(1);
  });

  test('one waits in any case, so that the identity is listed', () => {
    expect([...chooseWaiting([touched('age'), touched()], pending('plan'), false)]).toEqual([0]);
  });

  test('all wait where nothing of it can be stored, even those that only say that it exists', () => {
    expect(chooseWaiting([touched()], { traits: 'all', overrides: 'all' }, true).size).toBe(1);
  });

  test('those of a rename wait for what the identity lacks', () => {
    expect(chooseWaiting([{ ...touched(), moved: true }], pending('plan'), true).size).toBe(1);
  });
});

describe('an event that Edge could not hold', () => {
  const identity = { environmentId: 3, identityId: 4 };
  const place = { projectId: 7, reason: 'unstorable', retry: '', identity: { ...identity, cause: 'NumberNotFinite' } };
  const subject = placeSubject(place as Parameters<typeof placeSubject>[0]);
  const create = () => {
    const clock = { now: 0, monotonic: () => clock.now };
    return { clock, retries: createRetries(60_000, clock) };
  };

  test('is retried after each interval, however long it waits', () => {
    const { clock, retries } = create();
    const due: number[] = [];
    for (; clock.now <= 180_000; clock.now += 1000) {
      retries.notice([subject]);
      if (retries.findDue(10).length === 0) continue;
      due.push(clock.now);
      retries.tried(subject);
    }
    expect(due).toEqual([60_000, 120_000, 180_000]);
  });

  test('is retried at once when its identity was found to be storable', () => {
    const { retries } = create();
    retries.notice([subject, 'identity.parked.7.suspended']);
    expect(retries.findDue(10)).toEqual([]);
    retries.wake(7, identity);
    expect(retries.findDue(10)).toEqual([subject]);
  });

  test('is retried in turn, however many identities there are', () => {
    const { clock, retries } = create();
    const all = Array.from({ length: 100 }, (_, id) => subject.replace('.4.', `.${id + 1}.`));
    const tried = new Map<string, number>();
    for (; clock.now <= 180_000; clock.now += 2000) {
      retries.notice(all);
      for (const one of retries.findDue(2)) {
        tried.set(one, (tried.get(one) ?? 0) + 1);
        retries.tried(one);
      }
    }
    expect(tried.size).toBe(100);
    expect(Math.max(...tried.values())).toBe(2);
  });
});
