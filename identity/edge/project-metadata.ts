import { ConditionalCheckFailedException, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Item } from './document/document.ts';
import type { EdgeCallOptions, EdgeConnection } from './table/connection.ts';
import { createCondition, createNames, createValues } from './table/expressions.ts';
import { describeTable, type TableFacts } from './table/schema.ts';

/** The migration status that Flagsmith's dashboard shows for a project. */
export interface ProjectMetadata {
  /** MIGRATION_IN_PROGRESS, unless the project has a start already. */
  markStarted(projectId: number, options?: EdgeCallOptions): Promise<'written' | 'unchanged'>;
  /** MIGRATION_COMPLETED, unless the project has an end already. */
  markCompleted(projectId: number, options?: EdgeCallOptions): Promise<'written' | 'unchanged'>;
  /** Which of the two marks the project has, regardless of who wrote them. */
  read(projectId: number, options?: EdgeCallOptions): Promise<{ started: boolean; completed: boolean }>;
  /** @throws as {@link describeTable} */
  describe(options?: EdgeCallOptions): Promise<TableFacts>;
}

const KEY = ['id N (HASH)'];

/** Flagsmith's loader fails, for the whole list of projects, on any attribute but these and `id`. */
const TIMES = ['triggered_at', 'migration_start_time', 'migration_end_time'] as const;
type Time = (typeof TIMES)[number];

/**
 * The project metadata table (docs/flagsmith.md, "DynamoDB tables, indexes, limits"). Flagsmith writes its items whole
 * and without conditions; we write ours only over the item as we read it, and keep every existing time.
 */
export function createProjectMetadata(connection: EdgeConnection, table: string): ProjectMetadata {
  const { clock } = connection;

  async function read(projectId: number, options: EdgeCallOptions): Promise<Item | undefined> {
    const command = new GetItemCommand({
      TableName: table,
      Key: { id: { N: String(projectId) } },
      ConsistentRead: true,
    });
    return (await connection.call(table, (client, handling) => client.send(command, handling), options)).Item;
  }

  /** False when the item is no longer `before`. */
  async function put(item: Item, before: Item | undefined, options: EdgeCallOptions): Promise<boolean> {
    const names = createNames();
    const values = createValues();
    const expected = before ?? { id: undefined };
    const unseen = Object.fromEntries(TIMES.map((name) => [name, undefined]));
    const command = new PutItemCommand({
      TableName: table,
      Item: item,
      ConditionExpression: createCondition(names, values, { ...unseen, ...expected }),
      ...names.attributes(),
      ...values.attributes(),
    });
    try {
      await connection.call(table, (client, handling) => client.send(command, handling), options);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }

  async function mark(
    projectId: number,
    names: readonly Time[],
    options: EdgeCallOptions,
  ): Promise<'written' | 'unchanged'> {
    for (;;) {
      const before = await read(projectId, options);
      const missing = names.filter((name) => before?.[name]?.S === undefined);
      if (missing.length === 0) return 'unchanged';
      const time = { S: formatNaive(clock) };
      const item: Item = { id: { N: String(projectId) } };
      for (const name of TIMES) item[name] = missing.includes(name) ? time : (before?.[name] ?? { NULL: true });
      if (await put(item, before, options)) return 'written';
    }
  }

  return {
    markStarted: (projectId, options = {}) => mark(projectId, ['migration_start_time'], options),
    // An end without a start would be shown as not started.
    markCompleted: (projectId, options = {}) =>
      mark(projectId, ['migration_start_time', 'migration_end_time'], options),
    async read(projectId, options = {}) {
      const item = await read(projectId, options);
      const started = item?.['migration_start_time']?.S !== undefined;
      // Flagsmith ignores an end without a start.
      return { started, completed: started && item?.['migration_end_time']?.S !== undefined };
    },
    describe: (options = {}) => describeTable(connection, table, KEY, options),
  };
}

/** Python's `datetime.now().isoformat()`: local time, microseconds, no offset. */
function formatNaive(clock: Clock): string {
  const now = clock.now();
  const local = new Date(now - new Date(now).getTimezoneOffset() * 60_000);
  return `${local.toISOString().slice(0, -1)}000`;
}
