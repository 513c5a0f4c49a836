import { randomUUID } from 'node:crypto';
import { EDGE_MIGRATIONS, GROUP } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, ObjectReference } from '@edge-migration/kubernetes/client.ts';
import { UnreachableError } from '@edge-migration/kubernetes/errors.ts';
import { z } from 'zod';

const managedSchema = z.object({
  metadata: z.object({
    managedFields: z.array(z.object({ manager: z.string().optional(), time: z.iso.datetime().optional() })),
  }),
});

/**
 * The API server's time in milliseconds, to the second: this machine's clock may be wrong, and deadlines must not be. A
 * dry run of a patch returns it, since the server records when a manager last changed a field.
 *
 * @throws ApiError
 */
export async function readServerTime(
  client: Pick<KubernetesClient, 'patch'>,
  reference: ObjectReference,
  { fieldManager, signal }: { fieldManager: string; signal: AbortSignal },
): Promise<number> {
  const patch = { metadata: { annotations: { [`${GROUP}/time-of`]: randomUUID() } } };
  const manager = `${fieldManager}-time`;
  const options = { fieldManager: manager, dryRun: true, signal };
  const answer = await client.patch(EDGE_MIGRATIONS, reference, patch, options);
  const { data } = managedSchema.safeParse(answer);
  const time = data?.metadata.managedFields.find((entry) => entry.manager === manager)?.time;
  if (time !== undefined) return Date.parse(time);
  const facts = { status: 0, reason: 'MalformedResponse', disposition: 'transient' } as const;
  throw new UnreachableError('the API server does not tell its time in managedFields', facts);
}
