import { type AttributeValue, QueryCommand } from '@aws-sdk/client-dynamodb';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';

/** The attributes of an environment's document that identify its owner. */
interface DocumentName {
  readonly identifier: string;
  /** Core's id as decimal text; undefined for a document that was created on Edge. */
  readonly djangoId: string | undefined;
}

export interface DocumentNames {
  readonly documents: readonly DocumentName[];
  /** Identifier after which the next page starts; undefined after the last one. */
  readonly next: string | undefined;
}

const INDEX = 'environment_api_key-identifier-index';

/**
 * Lists the documents of one environment key, page by page, by the index that Flagsmith's own tables have. The index
 * is slightly behind the table.
 */
export function createEnvironmentQuery(connection: EdgeConnection, table: string) {
  return async function listEnvironment(
    { apiKey, after, limit }: { apiKey: string; after: string | undefined; limit: number },
    options: EdgeCallOptions = {},
  ): Promise<DocumentNames> {
    // No document can be in the index under an empty key, and DynamoDB refuses to look one up.
    if (apiKey === '') return { documents: [], next: undefined };
    const command = new QueryCommand({
      TableName: table,
      IndexName: INDEX,
      KeyConditionExpression: `environment_api_key = :key${after === undefined ? '' : ' AND identifier > :after'}`,
      ExpressionAttributeValues: { ':key': { S: apiKey }, ...(after === undefined ? {} : { ':after': { S: after } }) },
      ProjectionExpression: 'identifier, django_id',
      Limit: limit,
    });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    const documents = (output.Items ?? []).map(nameOf);
    return { documents, next: output.LastEvaluatedKey === undefined ? undefined : documents.at(-1)?.identifier };
  };
}

function nameOf(item: Record<string, AttributeValue>): DocumentName {
  return { identifier: item['identifier']?.S ?? '', djangoId: item['django_id']?.N };
}
