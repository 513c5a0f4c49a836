import { findGuarantees } from '../replication.ts';
import type { Commit, EdgeStore } from '../store.ts';
import { createBatchWriter } from './batch-writes.ts';
import { connectToEdge, type EdgeOptions } from './connection.ts';
import { createCostAccount } from './cost.ts';
import { createDocuments } from './documents.ts';
import { createEnvironmentQuery } from './environment.ts';
import { createInserter } from './insert.ts';
import { createKeyListing } from './listing.ts';
import { createOverrideRows } from './override-rows.ts';
import { describeTable, IDENTITIES_KEY, OVERRIDE_ROWS_KEY, type TableFacts } from './schema.ts';
import { createSequence } from './sequence.ts';
import { createTransaction } from './transaction.ts';

export type { Item } from '../document/document.ts';
export type { WriteBudget } from '../rate.ts';
export type { DescribedTables, EdgeStore } from '../store.ts';
export { GET_BATCH } from './batch-reads.ts';
export type { SharedWrite } from './batch-writes.ts';
export type { EdgeCallOptions, EdgeOptions, Silence } from './connection.ts';
export type { WriteResult } from './documents.ts';
export {
  DeadlinePassedError,
  EdgeError,
  EdgeRefusedError,
  ResponseTooLargeError,
  WriteRejectedError,
} from './errors.ts';
export type { SendDeadline } from './http.ts';
export { INSERT_BATCH, type InsertOutcome } from './insert.ts';
export type { TableFacts } from './schema.ts';

/** The part of `edgeSettings` (config/stores.ts) that the tables need. */
export interface EdgeSettings {
  readonly dynamodbEndpoint?: string | undefined;
  readonly dynamodbRegion?: string | undefined;
  readonly dynamodbRegionEndpoints?: Readonly<Record<string, string>> | undefined;
  readonly identitiesTable: string;
  readonly environmentsV2Table?: string | undefined;
}

/** Opens Edge's tables; nothing is sent yet. The retry budget is 20 s unless `options` says otherwise. */
export function openEdge(settings: EdgeSettings, options: EdgeOptions = {}): EdgeStore {
  let guarantees = findGuarantees([undefined]);
  let regions: ReadonlySet<string> | undefined;
  let identityRegions: ReadonlySet<string> | undefined;
  const connection = connectToEdge(settings, options);
  const { identitiesTable, environmentsV2Table } = settings;
  const account = createCostAccount(connection.budget);
  const documents = createDocuments(connection, account, identitiesTable, 'composite_key');
  const rows = environmentsV2Table === undefined ? undefined : createOverrideRows(connection, environmentsV2Table);

  return {
    budget: connection.budget,
    readBudget: connection.readBudget,
    identities: {
      table: identitiesTable,
      ...documents,
      insertMany: createInserter(connection, account, identitiesTable),
      writeMany: createBatchWriter(connection, account, identitiesTable, 'composite_key'),
      listEnvironment: createEnvironmentQuery(connection, identitiesTable),
      listKeys: createKeyListing(connection, identitiesTable),
    },
    overridesTable: environmentsV2Table,
    overrideRows: rows,
    commit:
      environmentsV2Table === undefined || rows === undefined ? undefined : createCommit(environmentsV2Table, rows),
    guarantees: () => guarantees,
    async describe(call = {}) {
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
    region: () => connection.region(),
    homeRegion: () => connection.homeRegion(),
    regions: () => regions,
    identityRegions: () => identityRegions,
    goTo: (region) => connection.goTo(region === undefined ? undefined : inRegion(settings, region)),
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
