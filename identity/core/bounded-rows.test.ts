import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from './database.ts';
import { CoreError } from './errors.ts';

let database: TestDatabase;
let core: Database;

beforeAll(async () => {
  database = await createDatabase({ schema: false });
  core = openDatabase({ databaseUrl: database.url }, { maxConnections: 1 });
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

/** Rows with an id and a JSON text of `size` characters, quotes included. */
const rowsOf = (count: number, size: number, maxSize: number) =>
  core.read((query) =>
    query.bounded<{ id: number; text: string }>(
      `SELECT id, to_json(repeat('x', $2 - 2)) AS text FROM generate_series(1, $1) id`,
      [count, size],
      maxSize,
    ),
  );

test('all rows that fit are read', async () => {
  const { rows, sizes, isCut } = await rowsOf(3, 10, 1000);
  expect(rows.map(({ id, text }) => [id, text.length])).toEqual([
    [1, 8],
    [2, 8],
    [3, 8],
  ]);
  expect(sizes).toEqual([11, 11, 11]);
  expect(isCut).toBe(false);
});

test('rows beyond the limit are omitted, and the result says so', async () => {
  const { rows, isCut } = await rowsOf(100, 99, 250);
  expect(rows.map(({ id }) => id)).toEqual([1, 2, 3]);
  expect(isCut).toBe(true);
});

test('nothing is omitted when the last row reaches the limit', async () => {
  const { rows, isCut } = await rowsOf(3, 99, 250);
  expect([rows.length, isCut]).toEqual([3, false]);
});

test('a single row is read however large it is', async () => {
  const { rows, isCut } = await rowsOf(2, 1_000_000, 10);
  expect([rows.length, rows[0]?.text.length, isCut]).toEqual([1, 999_998, true]);
});

test('a statement without rows has an empty result', async () => {
  expect(await rowsOf(0, 10, 10)).toEqual({ rows: [], sizes: [], isCut: false });
});

test('a database error is reported as such, and the next read works', async () => {
  await expect(core.read((query) => query.bounded('SELECT 1/0 AS x', [], 10))).rejects.toThrow(CoreError);
  expect((await rowsOf(1, 10, 10)).rows).toHaveLength(1);
});

test('omitted rows take no memory', async () => {
  await rowsOf(1, 10, 10);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const { rows } = await rowsOf(400, 500_000, 1_000_000);
  expect(rows).toHaveLength(2);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 2 ** 20);
});
