import { BatchGetItemCommand } from '@aws-sdk/client-dynamodb';
import type { EdgeEnvironment, ServerKey } from '../core/edge-project.ts';
import type { Item } from './document/document.ts';
import type { EdgeCallOptions, EdgeConnection } from './table/connection.ts';
import { EdgeThrottledError } from './table/errors.ts';
import { describeTable, ENVIRONMENTS_KEY, type KeySchema, OVERRIDE_ROWS_KEY, SERVER_KEYS_KEY } from './table/schema.ts';

/** The part of `edgeSettings` (config/stores.ts) that names the tables that Flagsmith itself writes for Edge. */
export interface ServingSettings {
  readonly environmentsTable?: string | undefined;
  readonly environmentsApiKeyTable?: string | undefined;
  readonly environmentsV2Table?: string | undefined;
}

/** The tables that Edge needs besides the identities to answer; they are only read. */
export interface ServingTables {
  readonly names: ServingSettings;
  /** Environments without a document of their own in `flagsmith_environments`; none where it is not configured. */
  findUndocumented(environments: readonly EdgeEnvironment[], options?: EdgeCallOptions): Promise<EdgeEnvironment[]>;
  /** Server keys that Edge does not have as active keys of their environment, each with its environment. */
  findUnknownKeys(environments: readonly EdgeEnvironment[], options?: EdgeCallOptions): Promise<UnknownKey[]>;
  /** Environments without a `_META` row of their own in `environments_v2`. */
  findWithoutMeta(environments: readonly EdgeEnvironment[], options?: EdgeCallOptions): Promise<EdgeEnvironment[]>;
  /**
   * Checks whether the tables that only Flagsmith writes exist and match their names.
   *
   * @throws as {@link describeTable}
   */
  describe(options?: EdgeCallOptions): Promise<void>;
}

interface UnknownKey {
  readonly environment: EdgeEnvironment;
  readonly serverKey: ServerKey;
}

/** DynamoDB takes no more keys in one call. */
const BATCH = 100;

/** The few attributes of an environment's document that show its owner, and that it can be evaluated. */
const ENVIRONMENT_FIELDS = ['id', 'compressed', 'project.id'];

/**
 * Both forms of a document count (docs/flagsmith.md, "Environment documents"): a plain one has its project as a map, a
 * compressed one is marked as such and has it as bytes.
 */
export function createServingTables(connection: EdgeConnection, names: ServingSettings): ServingTables {
  const { environmentsTable, environmentsApiKeyTable, environmentsV2Table } = names;
  const read = (table: string, keys: Item[], fields: string[], options: EdgeCallOptions) =>
    readFields(connection, { table, keys, fields }, options);

  return {
    names,
    async findUndocumented(environments, options = {}) {
      if (environmentsTable === undefined) return [];
      const keys = environments.map(({ apiKey }) => ({ api_key: { S: apiKey } }));
      const items = await read(environmentsTable, keys, ['api_key', ...ENVIRONMENT_FIELDS], options);
      const found = new Map(items.map((item) => [item['api_key']?.S, item]));
      return environments.filter((environment) => !isDocument(found.get(environment.apiKey), environment));
    },
    async findUnknownKeys(environments, options = {}) {
      if (environmentsApiKeyTable === undefined) return [];
      const all = environments.flatMap((environment) =>
        environment.serverKeys.map((serverKey) => ({ environment, serverKey })),
      );
      const keys = all.map(({ serverKey }) => ({ key: { S: serverKey.key } }));
      const items = await read(environmentsApiKeyTable, keys, ['key', 'client_api_key', 'active'], options);
      const owners = new Map(items.map((item) => [item['key']?.S, item['active']?.BOOL && item['client_api_key']?.S]));
      return all.filter(({ environment, serverKey }) => owners.get(serverKey.key) !== environment.apiKey);
    },
    async findWithoutMeta(environments, options = {}) {
      if (environmentsV2Table === undefined) return [];
      const keys = environments.map(({ id }) => ({ environment_id: { S: String(id) }, document_key: { S: '_META' } }));
      const fields = ['environment_id', 'environment_api_key', ...ENVIRONMENT_FIELDS];
      const items = await read(environmentsV2Table, keys, fields, options);
      const found = new Map(items.map((item) => [item['environment_id']?.S, item]));
      return environments.filter((environment) => {
        const item = found.get(String(environment.id));
        return !isDocument(item, environment) || item?.['environment_api_key']?.S !== environment.apiKey;
      });
    },
    async describe(options = {}) {
      const tables: [string | undefined, KeySchema][] = [
        [environmentsTable, ENVIRONMENTS_KEY],
        [environmentsApiKeyTable, SERVER_KEYS_KEY],
        [environmentsV2Table, OVERRIDE_ROWS_KEY],
      ];
      await Promise.all(tables.map(([table, key]) => table && describeTable(connection, table, key, options)));
    },
  };
}

function isDocument(item: Item | undefined, { id }: EdgeEnvironment): boolean {
  return (
    item?.['id']?.N === String(id) && (item['compressed']?.BOOL === true || item['project']?.M?.['id'] !== undefined)
  );
}

interface Reading {
  readonly table: string;
  readonly keys: readonly Item[];
  readonly fields: readonly string[];
}

/** Reads some attributes of items by key, consistently; items that do not exist are left out. */
async function readFields(connection: EdgeConnection, { table, keys, fields }: Reading, options: EdgeCallOptions) {
  const names = [...new Set(fields.flatMap((field) => field.split('.')))];
  const request = {
    ConsistentRead: true,
    ProjectionExpression: fields.map((field) => field.replaceAll(/[^.]+/g, (name) => `#${name}`)).join(', '),
    ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
  };
  const items: Item[] = [];
  // DynamoDB refuses to look up an empty key, under which nothing can be.
  let open = keys.filter((key) => Object.values(key).every(({ S }) => S !== ''));

  async function readBatch(): Promise<void> {
    const batch = open.slice(0, BATCH);
    const command = new BatchGetItemCommand({ RequestItems: { [table]: { ...request, Keys: batch } } });
    const output = await connection.call(table, (client, handling) => client.send(command, handling), options);
    const unprocessed = output.UnprocessedKeys?.[table]?.Keys ?? [];
    // A large answer comes in parts; only an empty part means that we are too fast.
    if (unprocessed.length === batch.length)
      throw new EdgeThrottledError(`Table ${table} throttles reads: try again later`);
    items.push(...(output.Responses?.[table] ?? []));
    open = [...unprocessed, ...open.slice(batch.length)];
  }

  while (open.length > 0) await connection.repeat(readBatch, options.signal);
  return items;
}
