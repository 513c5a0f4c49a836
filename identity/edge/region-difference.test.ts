import { describe, expect, test } from 'vitest';
import type { Item } from './document/document.ts';
import { compareRegions } from './region-difference.ts';

const document: Item = { composite_key: { S: 'key_ada' }, identity_traits: { L: [{ S: 'a' }] } };
const row: Item = { document_key: { S: 'row' }, feature_state: { M: {} } };
const rows = (...items: Item[]) => new Map(items.map((item, index) => [`row ${index}`, item]));
const home = { document, rows: rows(row) };
const compare = (copy: { document?: Item; rows?: ReadonlyMap<string, Item> }, at = home) =>
  compareRegions(at, [{ region: 'us-east-2', document: undefined, rows: undefined, ...copy }]);

describe("a region's copy", () => {
  test("a region's copy is equal with other number formats and with the attributes of replication", () => {
    const numbered = { document: { ...document, django_id: { N: '7' } }, rows: rows(row) };
    const copy = { ...numbered.document, django_id: { N: '7.0' }, 'aws:rep:updatetime': { N: '1' } };
    expect(compare({ document: copy, rows: rows({ ...row, 'aws:rep:deleting': { BOOL: false } }) }, numbered)).toEqual(
      [],
    );
  });

  test.each([
    ['is missing', undefined, 'missing'],
    ['has another trait', { ...document, identity_traits: { L: [{ S: 'b' }] } }, 'differing'],
    ['has an attribute more', { ...document, dashboard_alias: { S: 'x' } }, 'differing'],
  ])("a region's copy that %s is a difference", (_, copy, found) => {
    expect(compare({ ...(copy && { document: copy }), rows: rows(row) })).toEqual([
      { region: 'us-east-2', document: found },
    ]);
  });

  test("a region's copy of a document that the home region lacks is a difference", () => {
    const nothing = { document: undefined as unknown as Item, rows: rows() };
    expect(compare({ document }, nothing)).toEqual([{ region: 'us-east-2', document: 'extra' }]);
    expect(compare({}, nothing)).toEqual([]);
  });

  test('missing, different or additional rows are a difference that counts them', () => {
    expect(
      compare({ document, rows: rows({ ...row, feature_state: { M: { enabled: { BOOL: true } } } }, row) }),
    ).toEqual([{ region: 'us-east-2', rows: 2 }]);
    expect(compare({ document, rows: rows() })).toEqual([{ region: 'us-east-2', rows: 1 }]);
  });

  test('the differences are listed region by region', () => {
    const copies = ['us-east-2', 'sa-east-1'].map((region) => ({ region, ...home }));
    expect(compareRegions(home, [...copies, { region: 'us-west-1', document: undefined, rows: home.rows }])).toEqual([
      { region: 'us-west-1', document: 'missing' },
    ]);
  });
});
