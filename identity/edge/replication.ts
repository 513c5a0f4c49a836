import { z } from 'zod';

/** In which regions a table is, and what that means for those who write it. */
export type Replication =
  | {
      readonly kind: 'SingleRegion';
      /** It may be a global table of version 2017.11.29: the right to ask, `dynamodb:DescribeGlobalTable`, is missing. */
      readonly isUnsure?: true;
    }
  | {
      readonly kind: 'GlobalTable';
      /**
       * `Strong`: a write that is answered is in every region. `Eventual`: it may still lose, as a whole item, to a later
       * one of another region.
       */
      readonly consistency: 'Eventual' | 'Strong';
      /** `2019.11.21`; undefined where DynamoDB does not tell. */
      readonly version: string | undefined;
      /** The other regions: `DescribeTable` leaves out the one that is asked. */
      readonly replicas: readonly Replica[];
      /** Of a table with strong consistency that has two replicas only. */
      readonly witness: Replica | undefined;
    };

/** A region and its status: `ACTIVE`, or why it may lag behind. */
export interface Replica {
  readonly region: string;
  readonly status: string;
}

/** What of `DescribeTable`'s `Table` tells about replicas; statuses and modes that AWS adds later are no error. */
const descriptionSchema = z.object({
  GlobalTableVersion: z.string().optional(),
  MultiRegionConsistency: z.string().optional(),
  Replicas: z.array(z.object({ RegionName: z.string(), ReplicaStatus: z.string().default('unknown') })).default([]),
  GlobalTableWitnesses: z
    .array(z.object({ RegionName: z.string(), WitnessStatus: z.string().default('unknown') }))
    .default([]),
});

/**
 * Reads from `DescribeTable`'s `Table` in which regions the table is. A legacy global table (2017.11.29) does not say so
 * there and reads as a single region. A mode that is not known counts as eventual, of which least can be assumed.
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

/** The replication as a person reads it; `region` is the one that was asked. */
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

/** What DynamoDB promises those who write tables that belong together. */
export interface Guarantees {
  /** Items can be written together, both or neither. */
  readonly transactions: boolean;
  /** What was written stays until it is written again. Otherwise a write of another region may still take its place. */
  readonly final: boolean;
}

/** Of all tables together; of one whose replication is not known no promise is taken but that of transactions. */
export function findGuarantees(replications: readonly (Replication | undefined)[]): Guarantees {
  const has = (wanted: 'Eventual' | 'Strong') =>
    replications.some((one) => one?.kind === 'GlobalTable' && one.consistency === wanted);
  const isUnsure = replications.some((one) => one === undefined || (one.kind === 'SingleRegion' && one.isUnsure));
  return { transactions: !has('Strong'), final: !has('Eventual') && !isUnsure };
}

/** The replicas, the witness among them, that are not ACTIVE: replication to them may take long, or has stopped. */
export function findInactiveReplicas(replication: Replication): Replica[] {
  if (replication.kind === 'SingleRegion') return [];
  const { replicas, witness } = replication;
  return [...replicas, ...(witness ? [witness] : [])].filter(({ status }) => status !== 'ACTIVE');
}

/** `us-east-2`, or `us-east-2 (CREATING)`. */
export const nameReplica = ({ region, status }: Replica): string =>
  status === 'ACTIVE' ? region : `${region} (${status})`;
