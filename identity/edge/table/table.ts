import { findGuarantees } from '../replication.ts';
import { createBatchWriter } from './batch-writes.ts';
import { type CallOptions, connect, type EdgeOptions } from './connection.ts';
import { createCostAccount } from './cost.ts';
import { createDocuments } from './documents.ts';
import { createEnvironmentQuery } from './environment.ts';
import { createInserter } from './insert.ts';
import { createKeyListing, createRowListing } from './listing.ts';
import { createOverrideRows } from './override-rows.ts';
import { describeTable, IDENTITIES_KEY, OVERRIDE_ROWS_KEY, type TableFacts } from './schema.ts';
import { createSequence } from './sequence.ts';
import { createTransaction } from './transaction.ts';

export type { Item } from '../document/document.ts';
export type { WriteBudget } from '../rate.ts';
export { GET_BATCH } from './batch-reads.ts';
export type { SharedWrite } from './batch-writes.ts';
export type { CallOptions, EdgeOptions, Silence } from './connection.ts';
export type { WriteResult } from './documents.ts';
export {
  DeadlinePassed,
  EdgeError,
  EdgeRefused,
  ResponseTooLarge,
  WriteRejected,
} from './errors.ts';
export type { Deadline } from './http.ts';
export { INSERT_BATCH, type Outcome } from './insert.ts';
export type { TableFacts } from './schema.ts';

type Commit = ReturnType<typeof createTransaction>;

/** The part of `edgeSettings` (config/stores.ts) that the tables need. */
export interface EdgeSettings {
  readonly dynamodbEndpoint?: string | undefined;
  readonly dynamodbRegion?: string | undefined;
  readonly dynamodbRegionEndpoints?: Readonly<Record<string, string>> | undefined;
  readonly identitiesTable: string;
  readonly environmentsV2Table?: string | undefined;
}

/** What one region tells of the tables. */
export interface DescribedTables {
  readonly region: string;
  readonly identities: TableFacts;
  readonly overrideRows: TableFacts | undefined;
}

/** Edge's tables as one process uses them: one client, one write budget. */
export type EdgeTables = ReturnType<typeof openEdge>;

/**
 * Opens Edge's tables; nothing is sent yet.
 *
 * Every function waits for the write budget, retries throttling and failures for as long as patience lasts (20 s unless
 * `options` says otherwise), takes `{ signal, deadline }`, and throws the errors of table-errors.ts, whose messages say
 * the table, where it was looked for and what to do.
 */
export function openEdge(settings: EdgeSettings, options: EdgeOptions = {}) {
  let guarantees = findGuarantees([undefined]);
  let regions: ReadonlySet<string> | undefined;
  let identityRegions: ReadonlySet<string> | undefined;
  const connection = connect(settings, options);
  const { identitiesTable, environmentsV2Table } = settings;
  const account = createCostAccount(connection.budget);
  const documents = createDocuments(connection, account, identitiesTable, 'composite_key');
  const rows = environmentsV2Table === undefined ? undefined : createOverrideRows(connection, environmentsV2Table);

  return {
    budget: connection.budget,
    readBudget: connection.readBudget,

    /** The identity documents, by composite key. */
    identities: {
      table: identitiesTable,
      ...documents,
      insertMany: createInserter(connection, account, identitiesTable),
      writeMany: createBatchWriter(connection, account, identitiesTable, 'composite_key'),
      listEnvironment: createEnvironmentQuery(connection, identitiesTable),
      listKeys: createKeyListing(connection, identitiesTable),
    },

    /** Name of the table of override rows. */
    overridesTable: environmentsV2Table,

    /** The override rows of `environments_v2`; undefined when that table is not configured. */
    overrideRows:
      environmentsV2Table === undefined || rows === undefined
        ? undefined
        : {
            ...rows,
            listRows: createRowListing(connection, environmentsV2Table),
          },

    /**
     * Writes a document and its override rows, both or neither, or, on tables without transactions, one after the other;
     * undefined when that table is not configured.
     */
    commit:
      environmentsV2Table === undefined || rows === undefined ? undefined : createCommit(environmentsV2Table, rows),

    /** What DynamoDB promises for these tables, as far as {@link describe} has found out. */
    guarantees: () => guarantees,

    /**
     * Looks whether the configured tables are there and are the right ones; `region` is the one that was asked.
     *
     * @throws TableMissing, WrongTable, EdgeRefused, EdgeUnreachable, EdgeThrottled
     */
    async describe(call: CallOptions = {}): Promise<DescribedTables> {
      const [region, identities, overrideRows] = await Promise.all([
        connection.region(),
        describeTable(connection, identitiesTable, IDENTITIES_KEY, call),
        environmentsV2Table && describeTable(connection, environmentsV2Table, OVERRIDE_ROWS_KEY, call),
      ]);
      const tables = overrideRows ? [identities, overrideRows] : [identities];
      guarantees = findGuarantees(tables.map(({ replication }) => replication));
      identityRegions = regionsOf(identities);
      regions = tables.map(regionsOf).reduce((all, some) => some && all?.intersection(some));
      return { region, identities, overrideRows: overrideRows || undefined };
    },

    silence: () => connection.silence(),

    /** The region that is read and written now. */
    region: () => connection.region(),

    /** The region of the settings. */
    homeRegion: () => connection.homeRegion(),

    /** The regions that all tables are in; undefined where {@link describe} has not found out. */
    regions: () => regions,

    /** The regions that the table of identities is in; undefined where {@link describe} has not found out. */
    identityRegions: () => identityRegions,

    /** From now on another region is read and written; undefined: the home region again. */
    goTo: (region: string | undefined) =>
      connection.goTo(region === undefined ? undefined : inRegion(settings, region)),

    close: () => connection.close(),
  };

  function createCommit(rowsTable: string, own: NonNullable<typeof rows>): Commit {
    const together = createTransaction(connection, account, identitiesTable, rowsTable);
    const oneByOne = createSequence(connection, documents, own, rowsTable);
    return (...write) => (guarantees.transactions ? together(...write) : oneByOne(...write));
  }
}

function regionsOf({ region, replication }: TableFacts): ReadonlySet<string> | undefined {
  if (replication.kind === 'GlobalTable') return new Set([region, ...replication.replicas.map((one) => one.region)]);
  return replication.isUnsure ? undefined : new Set([region]);
}

/** The settings of the same tables in another region. */
export function inRegion<S extends EdgeSettings>(settings: S, region: string): S {
  return {
    ...settings,
    dynamodbRegion: region,
    dynamodbEndpoint: settings.dynamodbRegionEndpoints?.[region],
  };
}
