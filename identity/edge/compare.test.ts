import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addChecksums, canonicalText, createChecksum, documentDigest } from './canonical.ts';
import { findDifferences, limitToMigrated, touchedBy } from './compare.ts';
import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import { sameOverrideRow } from './override-rows.ts';
import { stateOf } from './verdict.ts';

const trait = (key: string, value: AttributeValue): AttributeValue => ({
  M: { trait_key: { S: key }, trait_value: value },
});
const override = (id: string, enabled: boolean): AttributeValue => ({
  M: { feature: { M: { id: { N: id }, name: { S: 'f' }, type: { S: 'STANDARD' } } }, enabled: { BOOL: enabled } },
});

const CORE: Item = {
  composite_key: { S: 'key_user' },
  environment_api_key: { S: 'key' },
  identifier: { S: 'user' },
  created_date: { S: '2026-01-01T00:00:00+00:00' },
  identity_uuid: { S: 'a' },
  django_id: { N: '7' },
  identity_traits: { L: [trait('plan', { S: 'gold' }), trait('age', { N: '10.0' })] },
  identity_features: { L: [override('31', true), override('32', false)] },
};

const change = (attributes: Item): Item => ({ ...CORE, ...attributes });

describe('a compared document', () => {
  test("a document is equal with other order, other number formats and other attributes of Edge's own", () => {
    const edge = change({
      identity_uuid: { S: 'another' },
      dashboard_alias: { S: 'me' },
      system_traits: { M: { cohort: { BOOL: true } } },
      identity_traits: { L: [trait('age', { N: '1E1' }), trait('plan', { S: 'gold' })] },
      identity_features: { L: [override('32', false), override('31', true)] },
    });
    expect(findDifferences(edge, CORE)).toBeUndefined();
    const { system_traits: _, ...summed } = edge;
    expect(documentDigest(summed)).toEqual(documentDigest(CORE));
  });

  test('a document is equal with the attributes that legacy global tables add to each item', () => {
    const replicated = (time: string): Item =>
      change({
        'aws:rep:deleting': { BOOL: false },
        'aws:rep:updatetime': { N: time },
        'aws:rep:updateregion': { S: 'us-east-2' },
      });
    const [edge, later] = [replicated('1764400000.5'), replicated('1764400001.5')];
    expect(findDifferences(edge, CORE)).toBeUndefined();
    expect(documentDigest(edge)).toEqual(documentDigest(CORE));
    const pairOf = (item: Item) => ({
      environmentId: 1,
      core: { kind: 'document', key: 'key_user', item: CORE, bytes: 300 } as const,
      edge: item,
      rows: new Map([['1 row', { document_key: { S: 'row' }, 'aws:rep:updatetime': item['aws:rep:updatetime']! }]]),
      onConflict: 'KeepEdge' as const,
    });
    expect(stateOf(pairOf(edge))).toEqual(stateOf(pairOf(later)));
    const row: Item = { environment_id: { S: '1' }, feature_state: { M: {} } };
    expect(sameOverrideRow({ ...row, 'aws:rep:updatetime': { N: '1' } }, row)).toBe(true);
  });

  test('a differing document is described by trait, override and attribute, with the direction', () => {
    const edge = change({
      created_date: { S: '2020-01-01T00:00:00+00:00' },
      leftover: { S: 'x' },
      identity_traits: {
        L: [trait('age', { N: '11' }), trait('edge', { S: 'x' }), trait('edge', { S: 'y' }), { M: {} }],
      },
      identity_features: { L: [override('31', false)] },
    });
    const difference = findDifferences(edge, CORE);
    expect(difference).toEqual({
      traits: { missing: ['plan'], changed: ['age'], extra: ['edge'], irregular: 2 },
      overrides: { missing: ['32'], changed: ['31'], extra: [], irregular: 0 },
      attributes: ['created_date'],
      foreign: ['leftover'],
    });
    expect(touchedBy(difference!)).toEqual({
      traits: new Set(['plan', 'age', 'edge']),
      overrides: new Set(['32', '31']),
    });
    expect(documentDigest(edge)).not.toEqual(documentDigest(CORE));
  });

  test('a document whose lists are not lists does not make the comparison fail', () => {
    const edge = change({ identity_traits: { S: 'none' }, identity_features: { L: [{ S: 'x' }] } });
    expect(findDifferences(edge, CORE)).toMatchObject({
      traits: { missing: ['plan', 'age'] },
      overrides: { missing: ['31', '32'], irregular: 1 },
      attributes: ['identity_traits'],
    });
  });

  test('a foreign attribute is detected under any name', () => {
    for (const name of ['leftover', 'constructor', '__proto__']) {
      const edge = Object.defineProperty({ ...CORE }, name, { value: { S: 'x' }, enumerable: true });
      expect(findDifferences(edge, CORE)).toMatchObject({ attributes: [], foreign: [name] });
    }
  });

  test('a document created on Edge owes Core only what the migration was to give it', () => {
    const edge = change({
      created_date: { S: '2020-01-01T00:00:00+00:00' },
      identity_traits: { L: [trait('age', { N: '11' }), trait('edge', { S: 'x' })] },
      identity_features: { L: [] },
    });
    const difference = findDifferences(edge, CORE);
    expect(limitToMigrated(difference, 'KeepEdge')).toMatchObject({
      traits: { missing: ['plan'], changed: [], extra: [] },
      overrides: { missing: [] },
      attributes: [],
    });
    expect(limitToMigrated(difference, 'CoreWins')).toMatchObject({
      traits: { missing: ['plan'], changed: ['age'], extra: [] },
      overrides: { missing: ['31', '32'] },
    });
    expect(limitToMigrated(findDifferences(change({ leftover: { S: 'x' } }), CORE), 'CoreWins')).toBeUndefined();
  });
});

const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e20, max: 1e20 }));
const value: fc.Arbitrary<AttributeValue> = fc.letrec<{ value: AttributeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string().map((S) => ({ S })),
    number.map((n) => ({ N: String(n) })),
    fc.boolean().map((BOOL) => ({ BOOL })),
    fc.constant({ NULL: true as const }),
    fc.uint8Array({ maxLength: 3 }).map((B) => ({ B })),
    fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 3 }).map((SS) => ({ SS })),
    fc.uniqueArray(fc.integer({ max: 9 }), { minLength: 1, maxLength: 3 }).map((all) => ({ NS: all.map(String) })),
    fc.array(tie('value'), { maxLength: 4 }).map((L) => ({ L })),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }).map((M) => ({ M })),
  ),
})).value;

describe('the canonical text', () => {
  test('the canonical text is the same exactly for values that are the same to DynamoDB', () => {
    fc.assert(
      fc.property(value, value, (one, other) => {
        expect(canonicalText(one) === canonicalText(other)).toBe(sameValue(one, other));
        expect(canonicalText(one)).toBe(canonicalText(structuredClone(one)));
      }),
    );
  });

  test.each([
    [{ SS: ['a', 'b'] }, { SS: ['b', 'a'] }],
    [{ NS: ['1', '20'] }, { NS: ['2E1', '1.0'] }],
    [{ BS: [Uint8Array.of(1), Uint8Array.of(2)] }, { BS: [Uint8Array.of(2), Uint8Array.of(1)] }],
  ])('the canonical text of %j is that of %j', (one, other) => {
    expect(canonicalText(one)).toBe(canonicalText(other));
  });
});

describe('checksums', () => {
  test('checksums are the same in any order and for any division of the documents', () => {
    const digests = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 20 });
    const sum = (all: Uint8Array[]) => {
      const checksum = createChecksum();
      for (const each of all) checksum.add(Buffer.from(each).toString('latin1'));
      return checksum.text();
    };
    fc.assert(
      fc.property(digests, fc.nat(), (all, seed) => {
        const cut = all.length === 0 ? 0 : seed % all.length;
        expect(sum(all.toReversed())).toBe(sum(all));
        expect(addChecksums([sum(all.slice(0, cut)), sum(all.slice(cut))])).toBe(sum(all));
      }),
    );
  });
});
