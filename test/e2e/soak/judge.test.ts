import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { insertRows, ONE_PROJECT } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createDatabase, dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables } from '@edge-migration/test/edge/tables.ts';
import { expect, test } from 'vitest';
import { judge } from './judgement.ts';

const population = { project: { projectId: 1, neighbour: { environments: [] } }, edgeFeature: 14 };
const document = (identifier: string, id: number) => ({
  composite_key: { S: `key_${identifier}` },
  environment_api_key: { S: 'key' },
  identifier: { S: identifier },
  django_id: { N: String(id) },
});

test('the document of an identity that Edge cannot hold any more may stay, one of another identity may not', async () => {
  await using database = await createDatabase();
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [{ id: 1, api_key: 'key' }],
    environments_identity: [
      { id: 1, identifier: 'grown', environment_id: 1 },
      { id: 2, identifier: 'recreated', environment_id: 1 },
    ],
    environments_trait: [1, 2].map((id) => {
      return { id, identity_id: id, trait_key: 'size', value_type: 'float', float_value: 1e200 };
    }),
  });
  const access = await dynamodb();
  await using tables = await createTables(access);
  const edge = new DynamoDBClient(access);
  const TableName = tables.settings.identitiesTable;
  for (const Item of [document('grown', 1), document('recreated', 7)])
    await edge.send(new PutItemCommand({ TableName, Item }));
  edge.destroy();
  const { violations } = await judge({
    databaseUrl: database.url,
    tables,
    population,
    edgeWrites: [],
    sharedWrites: new Map(),
  });
  expect(violations).toEqual([
    { kind: 'left over', key: 'key_recreated', detail: 'of identity 7, which Core does not have' },
  ]);
});
