import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { EVENTS } from '@edge-migration/kubernetes/resources.ts';
import { z } from 'zod';

/** What the Job controller reports about the pods that it creates. */
export interface JobEvents {
  /**
   * Why the API server refused the last pod of this Job, in its own words; undefined when it did not.
   *
   * @throws ApiError when the events cannot be read
   */
  findRefusal(jobUid: string, signal: AbortSignal): Promise<string | undefined>;
}

const eventSchema = z.object({
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
  metadata: z.object({ creationTimestamp: z.string() }),
});

/** Milliseconds since the epoch, only by the clock of the Job controller. */
const timeOf = ({ lastTimestamp, eventTime, metadata }: z.infer<typeof eventSchema>): number =>
  Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp);

/** Reads them where Jobs are: quota, limit ranges, pod security and webhooks refuse pods, never the Job. */
export function createJobEvents(client: KubernetesClient, namespace: string): JobEvents {
  return {
    async findRefusal(jobUid, signal) {
      const fieldSelector = `involvedObject.uid=${jobUid}`;
      const { items } = await client.list(EVENTS, { namespace, fieldSelector }, { signal });
      const events = items.map((item) => eventSchema.parse(item));
      const last = (reason: string) =>
        events.filter((event) => event.reason === reason).toSorted((a, b) => timeOf(b) - timeOf(a))[0];
      const [failed, created] = [last('FailedCreate'), last('SuccessfulCreate')];
      if (failed === undefined) return undefined;
      return created !== undefined && timeOf(created) > timeOf(failed) ? undefined : failed.message;
    },
  };
}
