import { z } from 'zod';
import { formatDuration } from '../requests/duration.ts';
import { renderTable } from './table.ts';

const time = z.string().nullish();

export const eventSchema = z.object({
  metadata: z.object({ namespace: z.string().optional(), creationTimestamp: z.string() }),
  involvedObject: z.object({ name: z.string().default(''), uid: z.string().optional() }),
  type: z.string().default(''),
  reason: z.string().default(''),
  message: z.string().default(''),
  count: z.number().nullish(),
  lastTimestamp: time,
  eventTime: time,
  series: z.object({ count: z.number(), lastObservedTime: time }).nullish(),
});

export type KubernetesEvent = z.infer<typeof eventSchema>;

/** When it was last observed; milliseconds since the epoch. */
const timeOf = ({ series, lastTimestamp, eventTime, metadata }: KubernetesEvent): number =>
  Date.parse(series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp);

/** Newest last. @param now milliseconds since the epoch */
export function renderEvents(events: readonly KubernetesEvent[], now: number): string {
  const rows = events
    .toSorted((a, b) => timeOf(a) - timeOf(b))
    .map((event) => {
      const count = event.series?.count ?? event.count ?? 1;
      const age = formatDuration((now - timeOf(event)) / 1000);
      const seen = count > 1 ? `${age} (x${count})` : age;
      return [seen, event.type, event.reason, event.involvedObject.name, event.message];
    });
  return renderTable(['LAST SEEN', 'TYPE', 'REASON', 'NAME', 'MESSAGE'], rows);
}
