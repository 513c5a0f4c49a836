import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { expect, onTestFinished, test } from 'vitest';
import { DYNAMODB_CLIENT } from '../cluster/dynamodb.ts';
import { startStore } from './store.ts';

test.each(['./null-dynamodb.ts', './memory-dynamodb.ts', './replay/null-store.ts'])(
  "the product accepts the tables of the benchmarks' DynamoDB stand-in in %s as Flagsmith's",
  async (script) => {
    await using store = await startStore(new URL(script, import.meta.url));
    const { region, credentials } = DYNAMODB_CLIENT;
    const tables = { identitiesTable: 'identities', environmentsV2Table: 'environments_v2' };
    const edge = openEdge({ dynamodbEndpoint: store.endpoint, dynamodbRegion: region, ...tables }, { credentials });
    onTestFinished(() => edge.close());

    await expect(edge.describe()).resolves.toMatchObject({ identities: { status: 'ACTIVE' } });
  },
);
