import type { Request } from './endpoint.ts';
import { type Answer, type Body, refusal, type Statement } from './wire.ts';

export type Consistency = 'EVENTUAL' | 'STRONG';
export type Version = '2019.11.21' | '2017.11.29';

/** What a global table's description has beyond that of other tables. */
export interface Replicated {
  readonly version: Version;
  readonly consistency: Consistency;
  readonly regions: readonly string[];
  readonly witness: string | undefined;
  readonly statuses: ReadonlyMap<string, string>;
}

const READS = new Set(['GetItem', 'BatchGetItem', 'Query', 'Scan', 'TransactGetItems', 'ListTables']);
const WRITES = new Set(['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'TransactWriteItems']);
const STATEMENTS = new Set(['ExecuteStatement', 'BatchExecuteStatement', 'ExecuteTransaction']);
const TABLES = new Set(['CreateTable', 'DeleteTable', 'DescribeTable', 'DescribeGlobalTable']);

/** The meaning of a request for replication; undefined if the global table does not understand it. */
export function classify({ operation, body }: Request): 'read' | 'write' | 'table' | undefined {
  if (READS.has(operation)) return 'read';
  if (WRITES.has(operation)) return 'write';
  if (TABLES.has(operation)) return 'table';
  if (!STATEMENTS.has(operation)) return undefined;
  return statementsOf(body).every(({ Statement }) => /^\s*select\b/i.test(Statement)) ? 'read' : 'write';
}

export function statementsOf(body: Body): readonly Statement[] {
  if (body.Statement !== undefined) return [body as Body & Statement];
  return body.Statements ?? body.TransactStatements ?? [];
}

export function refuseUnknown({ target }: Request): Answer {
  return refusal(400, 'ValidationException', `The global table for tests does not understand ${target}`);
}

/** `DescribeTable`'s answer in a region of a global table. */
export function describe({ status, text }: Answer, region: string, replicated: Replicated): Answer {
  if (status !== 200) return { status, text };
  const { consistency, version, regions, witness, statuses } = replicated;
  const { Table } = JSON.parse(text.replaceAll(':ddblocal:', `:${region}:`)) as { Table: object };
  if (version === '2017.11.29') return { status, text: JSON.stringify({ Table }) };
  const described = {
    ...Table,
    GlobalTableVersion: version,
    Replicas: regions
      .filter((other) => other !== region)
      .map((RegionName) => ({ RegionName, ReplicaStatus: statuses.get(RegionName) ?? 'ACTIVE' })),
    ...(consistency === 'STRONG' ? { MultiRegionConsistency: consistency } : {}),
    ...(witness === undefined ? {} : { GlobalTableWitnesses: [{ RegionName: witness, WitnessStatus: 'ACTIVE' }] }),
  };
  return { status, text: JSON.stringify({ Table: described }) };
}

/** `DescribeGlobalTable`, which only knows the legacy version's tables, and by which AWS identifies that version. */
export function describeGlobally({ body }: Request, { version, regions }: Replicated): Answer {
  const { GlobalTableName } = body;
  if (version !== '2017.11.29')
    return refusal(400, 'GlobalTableNotFoundException', `No global table: ${GlobalTableName}`);
  const ReplicationGroup = regions.map((RegionName) => ({ RegionName }));
  const GlobalTableDescription = { GlobalTableName, GlobalTableStatus: 'ACTIVE', ReplicationGroup };
  return { status: 200, text: JSON.stringify({ GlobalTableDescription }) };
}
