import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Item } from './document/document.ts';
import { overriddenFeature, overrideRowKey, overrideRows, sameOverrideRow } from './override-rows.ts';

const UUID = '5d1f3a2b-7c8d-4e9f-a0b1-c2d3e4f5a6b7';
const override = (id: string, value: string) => ({
  M: { feature: { M: { id: { N: id } } }, enabled: { BOOL: true }, feature_state_value: { S: value } },
});
const DOCUMENT: Item = {
  composite_key: { S: 'key_someone' },
  environment_api_key: { S: 'key' },
  identifier: { S: 'someone' },
  identity_uuid: { S: UUID },
  identity_features: { L: [override('31', 'blue'), override('32.0', 'red')] },
};

let tables: TestTables;
let client: DynamoDBClient;

beforeAll(async () => {
  const access = await dynamodb();
  tables = await createTables(access);
  client = new DynamoDBClient(access);
});
afterAll(async () => {
  client.destroy();
  await tables.drop();
});

test("every override has a row under the keys of Flagsmith's own", () => {
  expect(overrideRows(12, DOCUMENT, Date.UTC(2024, 0, 2, 3, 4, 5, 678))).toEqual([
    {
      environment_id: { S: '12' },
      document_key: { S: `identity_override:31:${UUID}` },
      environment_api_key: { S: 'key' },
      identifier: { S: 'someone' },
      identity_uuid: { S: UUID },
      feature_state: override('31', 'blue'),
      created_date: { S: '2024-01-02T03:04:05.678000+00:00' },
    },
    expect.objectContaining({ document_key: { S: `identity_override:32:${UUID}` } }),
  ]);
});

test('whole seconds are written without a fraction, as Python does', () => {
  const [row] = overrideRows(12, DOCUMENT, Date.UTC(2024, 0, 2, 3, 4, 5));
  expect(row?.['created_date']).toEqual({ S: '2024-01-02T03:04:05+00:00' });
});

test('the key identifies the same row as the row itself', () => {
  const [row] = overrideRows(12, DOCUMENT, 0);
  expect(row).toMatchObject(overrideRowKey({ environmentId: 12, featureId: '31', identityUuid: UUID }));
});

test('a document without overrides has no rows, and an element without a feature id has no row', () => {
  expect(overrideRows(12, { ...DOCUMENT, identity_features: { L: [] } }, 0)).toEqual([]);
  expect(overrideRows(12, { ...DOCUMENT, identity_features: { L: [{ M: {} }, { NULL: true }] } }, 0)).toEqual([]);
  expect(overriddenFeature({ M: { feature: { M: { id: { N: '1E1' } } } } })).toBe('10');
});

test('rows are equal regardless of when they were written, but not with another value', () => {
  const [before, after] = [0, 1].flatMap((time) => overrideRows(12, DOCUMENT, time).slice(0, 1));
  expect(sameOverrideRow(before ?? {}, after ?? {})).toBe(true);
  expect(sameOverrideRow(before ?? {}, { ...after, feature_state: override('31', 'green') })).toBe(false);
  expect(sameOverrideRow(before ?? {}, { ...after, foreign: { BOOL: true } })).toBe(false);
});

test('DynamoDB accepts the rows', async () => {
  const TableName = tables.settings.environmentsV2Table;
  for (const Item of overrideRows(12, DOCUMENT, 0)) await client.send(new PutItemCommand({ TableName, Item }));
  expect(await tables.scan(TableName)).toHaveLength(2);
});
