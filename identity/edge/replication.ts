import { z } from 'zod';

/** The regions of a table, and what they mean for its writers. */
export type Replication =
  | {
      readonly kind: 'SingleRegion';
      /** It may be a global table of version 2017.11.29: the right to ask, `dynamodb:DescribeGlobalTable`, is missing. */
      readonly isUnsure?: true;
    }
  | {
      readonly kind: 'GlobalTable';
      /**
       * `Strong`: an answered write is in every region. `Eventual`: it may still lose, as a whole item, to a later one
       * of another region.
       */
      readonly consistency: 'Eventual' | 'Strong';
      /** `2019.11.21`; undefined where DynamoDB does not report it. */
      readonly version: string | undefined;
      /** The other regions: `DescribeTable` leaves out the one that is asked. */
      readonly replicas: readonly Replica[];
      /** The witness of a table with strong consistency that has only two replicas. */
      readonly witness: Replica | undefined;
    };

/** A region and its status: `ACTIVE`, or why it may lag behind. */
export interface Replica {
  readonly region: string;
  readonly status: string;
}

/** The part of `DescribeTable`'s `Table` about replicas; statuses and modes that AWS adds later are no error. */
const descriptionSchema = z.object({
  GlobalTableVersion: z.string().optional(),
  MultiRegionConsistency: z.string().optional(),
  Replicas: z.array(z.object({ RegionName: z.string(), ReplicaStatus: z.string().default('unknown') })).default([]),
  GlobalTableWitnesses: z
    .array(z.object({ RegionName: z.string(), WitnessStatus: z.string().default('unknown') }))
    .default([]),
});

/**
 * Reads the table's regions from `DescribeTable`'s `Table`. A legacy global table (2017.11.29) does not appear there
 * and reads as a single region. An unknown mode counts as eventual, which promises least.
 *
 * @throws ZodError when the answer has another form than AWS documents
 */
export function parseReplication(description: unknown): Replication {
  const { GlobalTableVersion, MultiRegionConsistency, Replicas, GlobalTableWitnesses } =
    descriptionSchema.parse(description);
  // A global table that is reduced to one region keeps its version.
  if (Replicas.length === 0) return { kind: 'SingleRegion' };
  const [witness] = GlobalTableWitnesses;
  return {
    kind: 'GlobalTable',
    consistency: MultiRegionConsistency === 'STRONG' ? 'Strong' : 'Eventual',
    version: GlobalTableVersion,
    replicas: Replicas.map(({ RegionName: region, ReplicaStatus: status }) => ({ region, status })),
    witness: witness && { region: witness.RegionName, status: witness.WitnessStatus },
  };
}

/** The replication as text for people; `region` is the one that was asked. */
export function describeReplication(replication: Replication, region: string): string {
  if (replication.kind === 'SingleRegion') {
    const unsure =
      'unless it is a global table of version 2017.11.29: the right dynamodb:DescribeGlobalTable is missing';
    return replication.isUnsure ? `in ${region} only, ${unsure}` : `in ${region} only`;
  }
  const { consistency, version, replicas, witness } = replication;
  const regions = [region, ...replicas.map(nameReplica)].join(', ');
  const also = witness === undefined ? '' : `, witness ${nameReplica(witness)}`;
  const name = version === '2017.11.29' ? `global table of version ${version}` : 'global table';
  return `${name} with ${consistency.toLowerCase()} consistency in ${regions}${also}`;
}

/** DynamoDB's guarantees for writers of tables that belong together. */
export interface Guarantees {
  /** Items can be written together, both or neither. */
  readonly transactions: boolean;
  /** A write stays until the item is written again. Otherwise a write of another region may still replace it. */
  readonly final: boolean;
}

/** The guarantees of all tables together; one whose replication is unknown promises nothing but transactions. */
export function findGuarantees(replications: readonly (Replication | undefined)[]): Guarantees {
  const has = (wanted: 'Eventual' | 'Strong') =>
    replications.some((one) => one?.kind === 'GlobalTable' && one.consistency === wanted);
  const isUnsure = replications.some((one) => one === undefined || (one.kind === 'SingleRegion' && one.isUnsure));
  return { transactions: !has('Strong'), final: !has('Eventual') && !isUnsure };
}

/** Replicas, including the witness, that are not ACTIVE: replication to them may take long, or has stopped. */
export function findInactiveReplicas(replication: Replication): Replica[] {
  if (replication.kind === 'SingleRegion') return [];
  const { replicas, witness } = replication;
  return [...replicas, ...(witness ? [witness] : [])].filter(({ status }) => status !== 'ACTIVE');
}

/** `us-east-2`, or `us-east-2 (CREATING)`. */
export const nameReplica = ({ region, status }: Replica): string =>
  status === 'ACTIVE' ? region : `${region} (${status})`;
