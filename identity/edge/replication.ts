import { z } from 'zod';

/** In which regions a table is, and what that means for those who write it. */
export type Replication =
  | { readonly kind: 'SingleRegion' }
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
  if (replication.kind === 'SingleRegion') return `in ${region} only`;
  const { consistency, replicas, witness } = replication;
  const regions = [region, ...replicas.map(nameReplica)].join(', ');
  const also = witness === undefined ? '' : `, witness ${nameReplica(witness)}`;
  return `global table with ${consistency.toLowerCase()} consistency in ${regions}${also}`;
}

/** The replicas, the witness among them, that are not ACTIVE: replication to them may take long, or has stopped. */
export function findInactiveReplicas(replication: Replication): Replica[] {
  if (replication.kind === 'SingleRegion') return [];
  const { replicas, witness } = replication;
  return [...replicas, ...(witness ? [witness] : [])].filter(({ status }) => status !== 'ACTIVE');
}

const nameReplica = ({ region, status }: Replica) => (status === 'ACTIVE' ? region : `${region} (${status})`);
