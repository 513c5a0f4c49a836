import type { Item } from './document/document.ts';
import type { WriteBudget } from './rate.ts';
import type { Guarantees } from './replication.ts';
import type { SharedResult, SharedWrite } from './table/batch-writes.ts';
import type { EdgeCallOptions, Silence } from './table/connection.ts';
import type { WriteResult } from './table/documents.ts';
import type { DocumentNames } from './table/environment.ts';
import type { InsertOutcome, SizedItem } from './table/insert.ts';
import type { DocumentStretch, ListedDocument, Listing } from './table/listing.ts';
import type { OverrideRowKey } from './table/override-rows.ts';
import type { TableFacts } from './table/schema.ts';
import type { RowChanges } from './table/transaction.ts';
import type { DocumentWrite, Expected } from './table/writes.ts';

/**
 * Edge's tables as one process uses them: one client, one write budget.
 *
 * All calls to DynamoDB wait for the write or read budget, retry throttling and failures until the retry budget is
 * spent, and throw the errors of `table/errors.ts`, whose messages name the table, its location and what to do.
 */
export interface EdgeStore {
  readonly budget: WriteBudget;
  readonly readBudget: WriteBudget | undefined;
  readonly identities: IdentityDocuments;
  /** Name of the table of override rows. */
  readonly overridesTable: string | undefined;
  /** Undefined where that table is not configured. */
  readonly overrideRows: OverrideRows | undefined;
  /**
   * Writes a document and its override rows, both or neither, or, on tables without transactions, one after the other;
   * undefined where the table of rows is not configured.
   */
  readonly commit: Commit | undefined;
  /** DynamoDB's guarantees for these tables, as far as {@link describe} has found out. */
  guarantees(): Guarantees;
  /**
   * Checks whether the configured tables exist and are the right ones; `region` is the one that was asked.
   *
   * @throws TableMissingError, WrongTableError, EdgeRefusedError, EdgeUnreachableError, EdgeThrottledError
   */
  describe(call?: EdgeCallOptions): Promise<DescribedTables>;
  /** Since when the present region has answered no request for items; undefined where it answered the last one. */
  silence(): Silence | undefined;
  /** The region that is read and written now. */
  region(): Promise<string>;
  /** The region of the settings. */
  homeRegion(): Promise<string>;
  /** The regions that all tables are in; undefined where {@link describe} has not found out. */
  regions(): ReadonlySet<string> | undefined;
  /** The regions that the table of identities is in; undefined where {@link describe} has not found out. */
  identityRegions(): ReadonlySet<string> | undefined;
  /** Switches reads and writes to another region; undefined: back to the home region. */
  goTo(region: string | undefined): void;
  close(): void;
}

/**
 * Items by key. Reads are consistent.
 *
 * Every condition of a write compares attributes with the values that were read: DynamoDB compares lists and maps deeply
 * (list order counts, map order does not, 10 = 10.0). A write that is repeated after its answer was lost may find its
 * own work and report it as `changed`; the caller reads the document and sees that nothing is left to do.
 */
export interface Documents {
  get(key: string, options?: EdgeCallOptions): Promise<Item | undefined>;
  /**
   * The documents that exist, by key.
   *
   * @throws ResponseTooLargeError when several keys were asked for and their documents have more than `mostBytes` together
   */
  getMany(
    keys: readonly string[],
    options?: EdgeCallOptions & { readonly mostBytes?: number },
  ): Promise<Map<string, Item>>;
  /** As {@link getMany}, in parts that each take little memory; each key is in at most one part. */
  getParts(keys: readonly string[], options?: EdgeCallOptions): AsyncGenerator<ReadonlyMap<string, Item>>;
  /**
   * Stores the whole document if the one in the table is as `expected`; `undefined`: if there is none.
   *
   * @throws WriteRejectedError when DynamoDB can never store it
   */
  putIfUnchanged(item: Item, expected: Item | undefined, options?: EdgeCallOptions): Promise<WriteResult>;
  /**
   * Changes single attributes of a document that exists, and leaves all others as they are.
   *
   * @param change attributes to set, and names of attributes to remove
   * @param expected attributes that must be as they were read; `undefined` for one that must not exist
   * @throws WriteRejectedError when DynamoDB can never store it
   */
  updateIfUnchanged(
    key: string,
    change: { readonly set?: Item; readonly remove?: readonly string[] },
    expected: Expected,
    options?: EdgeCallOptions,
  ): Promise<WriteResult>;
  /** Deletes the document if it is as `expected`. */
  deleteIfUnchanged(expected: Item, options?: EdgeCallOptions): Promise<WriteResult>;
}

/** The identity documents, by composite key. */
interface IdentityDocuments extends Documents {
  /** The table's name. */
  readonly table: string;
  /** At most 25 inserts where the key is absent; their outcomes in the same order. */
  insertMany(items: readonly SizedItem[], options?: EdgeCallOptions): Promise<InsertOutcome[]>;
  /** At most 25 conditional writes of different documents; the certain outcome of each. */
  writeMany(writes: readonly SharedWrite[], options?: EdgeCallOptions): Promise<readonly SharedResult[]>;
  /** The documents of one environment key, page by page, slightly behind the table. */
  listEnvironment(
    request: { apiKey: string; after: string | undefined; limit: number },
    options?: EdgeCallOptions,
  ): Promise<DocumentNames>;
  /** The keys of a stretch of them, slightly behind the table. */
  listKeys(
    stretch: DocumentStretch & { readonly from: Item | undefined; readonly limit: number },
    options?: EdgeCallOptions,
  ): Promise<Listing<ListedDocument>>;
}

/** The override rows of `environments_v2`. They follow the identity documents, so their writes carry no conditions. */
export interface OverrideRows {
  delete(key: OverrideRowKey, options?: EdgeCallOptions): Promise<void>;
  /** Stores any number of rows with different keys, replacing existing ones. */
  putMany(rows: readonly Item[], options?: EdgeCallOptions): Promise<void>;
  /** Consistent; the rows that exist, by `rowName`. */
  getMany(keys: readonly OverrideRowKey[], options?: EdgeCallOptions): Promise<Map<string, Item>>;
  /** The rows of an environment; consistent, in the order of their keys. */
  listRows(
    request: { environmentId: number; from: Item | undefined; limit: number },
    options?: EdgeCallOptions,
  ): Promise<Listing<Item>>;
}

export type Commit = (write: DocumentWrite, rows: RowChanges, options?: EdgeCallOptions) => Promise<WriteResult>;

/** One region's description of the tables. */
export interface DescribedTables {
  readonly region: string;
  readonly identities: TableFacts;
  readonly overrideRows: TableFacts | undefined;
}
