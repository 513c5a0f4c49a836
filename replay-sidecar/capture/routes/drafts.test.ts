import { writeEvent } from '@edge-migration/contract/write-event.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeLine, MAX_EVENT_BYTES } from '../spool/draft.ts';
import { draftsOf } from './drafts.ts';
import type { Effect } from './route.ts';
import { captureLong } from './testing.ts';

const environment = { clientKey: 'k'.repeat(100) };

function touching(identifier: string, traits: readonly string[]): Effect {
  return {
    target: { kind: 'identity', environment, identifier },
    touched: { traits, overrides: [1] },
    traitGates: ['clientTraits', 'persistTraitData'],
  };
}

describe('draftsOf', () => {
  it('splits many trait keys over events that are small enough, and loses none', () => {
    const key = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.constant('\u0001'.repeat(200)));
    const identifier = fc.constantFrom('alice', '\u0001'.repeat(2000), '😀'.repeat(2000));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 500, size: 'max' }), identifier, (keys, name) => {
        const drafts = draftsOf([touching(name, keys)], 'sdk.identify');
        for (const draft of drafts) {
          const line = encodeLine('i'.repeat(64), 'p'.repeat(320), draft);
          expect(Buffer.byteLength(line)).toBeLessThan(MAX_EVENT_BYTES);
        }
        expect(drafts.flatMap(({ touched }) => touched.traits)).toEqual(keys);
        expect(drafts.map(({ touched }) => touched.overrides).filter((features) => features.length > 0)).toEqual([[1]]);
      }),
      { numRuns: 30 },
    );
  });

  it('joins the effects on one target', () => {
    const [draft, ...others] = draftsOf([touching('alice', ['a', 'b']), touching('alice', ['b', 'c'])], 'x');
    expect(others).toEqual([]);
    expect(draft?.touched).toEqual({ traits: ['a', 'b', 'c'], overrides: [1] });
  });

  it('lets "all" win', () => {
    const all: Effect = { ...touching('alice', []), touched: { traits: 'all', overrides: 'all' } };
    const drafts = draftsOf([touching('alice', ['a']), all], 'x');
    expect(drafts).toMatchObject([{ touched: { traits: 'all', overrides: 'all' } }]);
  });

  it('keeps what Core may have ignored because of its settings apart from the rest', () => {
    const removed: Effect = { ...touching('alice', ['b']), traitGates: [] };
    const [set, other] = draftsOf([touching('alice', ['a']), removed], 'x');
    expect(set).toMatchObject({ touched: { traits: ['a'] }, traitGates: ['clientTraits', 'persistTraitData'] });
    expect(other).toMatchObject({ touched: { traits: ['b'] }, traitGates: [] });
  });

  it('makes events of a request that names ten thousand traits', async () => {
    const traits = Array.from({ length: 10_000 }, (_, index) => ({ trait_key: `key-${index}`, trait_value: index }));
    const { drafts } = await captureLong({ request: 'POST identities/', body: { identifier: 'alice', traits } });
    expect(drafts.length).toBeGreaterThan(1);
    expect(drafts.flatMap(({ touched }) => touched.traits)).toHaveLength(10_000);
    const completed = {
      version: 1,
      id: 'x',
      instance: 'p/u',
      outcome: 'known',
      observedTime: '2026-11-22T10:00:00.000Z',
    };
    for (const draft of drafts) expect(writeEvent.parse({ ...completed, ...draft })).toBeDefined();
  });
});
