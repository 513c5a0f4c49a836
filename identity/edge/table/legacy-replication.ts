import { DescribeGlobalTableCommand } from '@aws-sdk/client-dynamodb';
import type { Replication } from '../replication.ts';
import type { EdgeCallOptions, EdgeConnection } from './connection.ts';
import { EdgeError, type FailureKind } from './errors.ts';

/** The answer of `DescribeGlobalTable`; `unknown`: this process may not ask, or got no answer. */
export type LegacyReplication = Extract<Replication, { kind: 'GlobalTable' }> | 'none' | 'unknown';

/**
 * Checks whether a table is a global table of version 2017.11.29, which `DescribeTable` does not report. Servers that
 * do not know the question have no such tables.
 *
 * @param region the one that is asked; the answer lists it among the others
 * @throws the signal's reason
 */
export async function describeLegacyReplication(
  connection: EdgeConnection,
  table: string,
  region: string,
  options: EdgeCallOptions,
): Promise<LegacyReplication> {
  const command = new DescribeGlobalTableCommand({ GlobalTableName: table });
  // The answer changes how often checks are made, never whether the table can be used: it is not worth a second try.
  const once = { ...options, once: true };
  try {
    const output = await connection.call(table, (client, handling) => client.send(command, handling), once);
    const replicas = (output.GlobalTableDescription?.ReplicationGroup ?? [])
      .map(({ RegionName, ReplicaStatus }) => ({ region: RegionName ?? '', status: ReplicaStatus ?? 'ACTIVE' }))
      .filter((replica) => replica.region !== region);
    if (replicas.length === 0) return 'none';
    return { kind: 'GlobalTable', consistency: 'Eventual', version: '2017.11.29', replicas, witness: undefined };
  } catch (error) {
    options.signal?.throwIfAborted();
    return saysNone(error) ? 'none' : 'unknown';
  }
}

const NONE: readonly (FailureKind | undefined)[] = ['missing', 'invalid', 'other'];

/** Throttled, refused or without an answer, the table may be one: then a write does not count as final. */
function saysNone(error: unknown): boolean {
  return error instanceof EdgeError && NONE.includes(error.answer);
}
