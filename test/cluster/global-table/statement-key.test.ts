import { expect, test } from 'vitest';
import { findWrittenItem } from './statement-key.ts';

const keysOf = (table: string) => (table === 'rows' ? ['environment', 'key'] : ['id']);
const find = (Statement: string, ...Parameters: object[]) => findWrittenItem({ Statement, Parameters }, keysOf);

test('an INSERT names its item by parameters or strings, however the other attributes are nested', () => {
  const key = { id: { S: 'x' } };
  expect(find(`INSERT INTO "t" VALUE {'n': {'id': ?}, 'l': [?, ?], 'id': ?}`, {}, {}, {}, key.id)).toEqual({
    table: 't',
    key,
  });
  expect(find(`insert into t value {'v': ?, 'id': 'x'}`, { N: '1' })).toEqual({ table: 't', key });
});

test('an UPDATE names its item in the WHERE conditions, not in what it sets', () => {
  expect(
    find(
      `UPDATE "rows" SET "key" = ? REMOVE b WHERE "environment" = ? AND "key" = ? AND v = ?`,
      {},
      { S: '7' },
      { S: 'k' },
    ),
  ).toEqual({ table: 'rows', key: { environment: { S: '7' }, key: { S: 'k' } } });
});

test('a DELETE names its item; quotes and question marks inside strings are not parameters', () => {
  expect(find(`DELETE FROM "t" WHERE id = 'is it''s?' AND v = ?`, { S: 'v' })).toEqual({
    table: 't',
    key: { id: { S: "is it's?" } },
  });
});

test('a SELECT writes nothing', () => {
  expect(find(`SELECT * FROM "t" WHERE id = ?`, { S: 'x' })).toBeUndefined();
});

test('a statement whose item cannot be determined is an error', () => {
  expect(() => find(`UPDATE "t" SET v = ? WHERE other = ?`, {}, {})).toThrow('cannot tell');
});
