import { DescribeTableCommand, type TableDescription } from '@aws-sdk/client-dynamodb';
import { parseReplication, type Replication } from '../replication.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import { WrongTableError } from './errors.ts';
import { describeLegacyReplication } from './legacy-replication.ts';

/** The properties of a table that decide whether and how fast it can be written. */
export interface TableFacts {
  readonly table: string;
  /** `ACTIVE`, or `UPDATING`, which can be read and written too. */
  readonly status: string;
  /** Names of the global secondary indexes. */
  readonly indexes: readonly string[];
  /** Key attributes of each index: an item that lacks one is not in that index. */
  readonly indexKeys: readonly (readonly string[])[];
  /** Approximate; DynamoDB counts every six hours. */
  readonly items: number;
  readonly bytes: number;
  readonly replication: Replication;
  /** The region that was asked. */
  readonly region: string;
}

/** A table's primary key as shown in messages: `composite_key S (HASH)`. */
export type KeySchema = readonly string[];

export const IDENTITIES_KEY: KeySchema = ['composite_key S (HASH)'];
export const OVERRIDE_ROWS_KEY: KeySchema = ['environment_id S (HASH)', 'document_key S (RANGE)'];
export const ENVIRONMENTS_KEY: KeySchema = ['api_key S (HASH)'];
export const SERVER_KEYS_KEY: KeySchema = ['key S (HASH)'];

const USABLE = new Set(['ACTIVE', 'UPDATING']);

/**
 * Checks whether the table exists and is what its name promises.
 *
 * @throws TableMissingError, WrongTableError (another key, or not usable yet), EdgeRefusedError, EdgeUnreachableError, EdgeThrottledError
 */
export async function describeTable(
  connection: EdgeConnection,
  table: string,
  key: KeySchema,
  call: EdgeCallOptions,
): Promise<TableFacts> {
  const options = { ...call, isAside: true };
  const { where } = connection.place(table);
  const command = new DescribeTableCommand({ TableName: table });
  const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
  const description = output.Table ?? {};
  const status = description.TableStatus ?? 'unknown';
  const found = keySchema(description);
  if (found.join() !== key.join()) {
    throw new WrongTableError(
      `Table ${table} at ${where} has the key ${found.join(', ')}, expected ${key.join(', ')}: correct the table name, or create the table as Flagsmith does`,
    );
  }
  if (!USABLE.has(status)) {
    throw new WrongTableError(`Table ${table} at ${where} is ${status}: wait until it is ACTIVE`);
  }
  const region = description.TableArn?.split(':')[3] ?? '';
  const replication = readReplication(description, `Table ${table} at ${where}`);
  return {
    replication:
      replication.kind === 'GlobalTable' ? replication : await findLegacy(connection, table, region, options),
    region,
    table,
    status,
    indexKeys: (description.GlobalSecondaryIndexes ?? []).map(({ KeySchema = [] }) =>
      KeySchema.map(({ AttributeName }) => AttributeName ?? ''),
    ),
    indexes: (description.GlobalSecondaryIndexes ?? []).map(({ IndexName }) => IndexName ?? ''),
    items: description.ItemCount ?? 0,
    bytes: description.TableSizeBytes ?? 0,
  };
}

async function findLegacy(
  connection: EdgeConnection,
  table: string,
  region: string,
  options: EdgeCallOptions,
): Promise<Replication> {
  const legacy = await describeLegacyReplication(connection, table, region, options);
  if (legacy === 'none') return { kind: 'SingleRegion' };
  return legacy === 'unknown' ? { kind: 'SingleRegion', isUnsure: true } : legacy;
}

function readReplication(description: TableDescription, name: string): Replication {
  try {
    return parseReplication(description);
  } catch (cause) {
    throw new WrongTableError(`${name} describes its replicas in a form that this version does not understand`, {
      cause,
    });
  }
}

function keySchema({ KeySchema = [], AttributeDefinitions = [] }: TableDescription): KeySchema {
  return KeySchema.map(({ AttributeName, KeyType }) => {
    const type = AttributeDefinitions.find((definition) => definition.AttributeName === AttributeName)?.AttributeType;
    return `${AttributeName} ${type} (${KeyType})`;
  });
}
