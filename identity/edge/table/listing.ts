import { QueryCommand } from '@aws-sdk/client-dynamodb';
import type { Item } from '../document/document.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';

/** A stretch of an environment's documents by identifier, in the order of their bytes in UTF-8. */
export interface DocumentStretch {
  readonly apiKey: string;
  /** Identifiers after this one; null has no beginning. */
  readonly after: string | null;
  /** Up to and including this one; null has no end. */
  readonly until: string | null;
}

export interface ListedDocument {
  readonly key: string;
  readonly identifier: string;
}

/** A page of a listing; `next` continues it, undefined after the last one. */
export interface Listing<T> {
  readonly entries: readonly T[];
  readonly next: Item | undefined;
}

const INDEX = 'environment_api_key-identifier-index';

/**
 * Lists the keys of an environment's documents by the index that Flagsmith's own tables have, whatever it projects. It
 * is slightly behind the table, and lacks documents without an environment key or an identifier.
 *
 * Continues by the index's whole key, since damaged documents may share environment key and identifier with others.
 */
export function createKeyListing(connection: EdgeConnection, table: string) {
  return async function listKeys(
    stretch: DocumentStretch & { readonly from: Item | undefined; readonly limit: number },
    options: EdgeCallOptions = {},
  ): Promise<Listing<ListedDocument>> {
    const { apiKey, after, until, from, limit } = stretch;
    // No document can be in the index under an empty key, and DynamoDB refuses to look one up.
    if (apiKey === '') return { entries: [], next: undefined };
    const bound = describeBounds(after, until);
    const budget = connection.readBudget;
    await budget?.take(1, options.signal);
    const command = new QueryCommand({
      TableName: table,
      IndexName: INDEX,
      KeyConditionExpression: `environment_api_key = :key${bound.condition}`,
      ExpressionAttributeValues: { ':key': { S: apiKey }, ...bound.values },
      ProjectionExpression: 'composite_key, identifier',
      Limit: limit,
      ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      ...(budget === undefined ? {} : { ReturnConsumedCapacity: 'TOTAL' }),
    });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    budget?.settle(1, output.ConsumedCapacity?.CapacityUnits || (output.Items ?? []).length / 4);
    const entries: ListedDocument[] = [];
    for (const item of output.Items ?? []) {
      const identifier = item['identifier']?.S ?? '';
      // `BETWEEN` includes its lower bound.
      if (identifier !== after) entries.push({ key: item['composite_key']?.S ?? '', identifier });
    }
    return { entries, next: output.LastEvaluatedKey };
  };
}

function describeBounds(after: string | null, until: string | null): { condition: string; values: Item } {
  if (after !== null && until !== null) {
    const values = { ':after': { S: after }, ':until': { S: until } };
    return { condition: ' AND identifier BETWEEN :after AND :until', values };
  }
  if (after !== null) return { condition: ' AND identifier > :after', values: { ':after': { S: after } } };
  if (until !== null) return { condition: ' AND identifier <= :until', values: { ':until': { S: until } } };
  return { condition: '', values: {} };
}

/** Lists the rows of an environment's identity overrides; consistent, in the order of their keys. */
export function createRowListing(connection: EdgeConnection, table: string) {
  return async function listRows(
    { environmentId, from, limit }: { environmentId: number; from: Item | undefined; limit: number },
    options: EdgeCallOptions = {},
  ): Promise<Listing<Item>> {
    const budget = connection.readBudget;
    await budget?.take(1, options.signal);
    const command = new QueryCommand({
      TableName: table,
      ConsistentRead: true,
      KeyConditionExpression: 'environment_id = :environment AND begins_with(document_key, :prefix)',
      ExpressionAttributeValues: { ':environment': { S: String(environmentId) }, ':prefix': { S: ROW_PREFIX } },
      Limit: limit,
      ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      ...(budget === undefined ? {} : { ReturnConsumedCapacity: 'TOTAL' }),
    });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    budget?.settle(1, output.ConsumedCapacity?.CapacityUnits || (output.Items ?? []).length / 4);
    return { entries: output.Items ?? [], next: output.LastEvaluatedKey };
  };
}

const ROW_PREFIX = 'identity_override:';
