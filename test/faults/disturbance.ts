import { z } from 'zod';
import type { Fault } from './dynamodb-proxy.ts';

/** Faults as data, which can be sent to a proxy in another process. */
const fault = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('throttle') }),
  z.object({ kind: z.literal('throttleStatements'), indexes: z.array(z.int()) }),
  z.object({ kind: z.literal('answer'), status: z.int(), type: z.string() }),
  z.object({ kind: z.literal('reset') }),
  z.object({ kind: z.literal('loseAnswer') }),
]);

/** The fault of every n-th request. */
export const disturbance = z.object({ every: z.int().positive(), fault });
export type Disturbance = z.output<typeof disturbance>;

/** Counts requests; each gets the fault of the first disturbance that is due. */
export function takeTurns(disturbances: readonly Disturbance[]): () => Fault | undefined {
  let request = 0;
  return () => {
    request += 1;
    return disturbances.find(({ every }) => request % every === 0)?.fault;
  };
}
