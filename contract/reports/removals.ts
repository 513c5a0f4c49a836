import { z } from 'zod';
import { reportSubject } from '../streams/applier.ts';

/**
 * The messages that one applier process has removed from the parking stream. The stream counts all removals, so that
 * the operator detects removals that no applier reports (docs/design.md, "Losses in NATS").
 */
const removalReport = z.object({
  version: z.literal(1),
  process: z.string().max(300),
  /** When that stream was created, as reported by NATS: counts begin at 0 with another one. */
  created: z.string().max(64),
  removed: z.int().nonnegative(),
  /** Upper bound of removals that are about to be made. */
  pending: z.int().nonnegative(),
});
export type RemovalReport = z.infer<typeof removalReport>;

/** Next to the reports, and kept as long. */
export const removalSubject = (process: string): string => `${reportSubject(process)}~removals`;

/** The report in a message; undefined if it is not one. */
export function decodeRemovals({ subject, data }: { subject: string; data: Uint8Array }): RemovalReport | undefined {
  try {
    const report = removalReport.safeParse(JSON.parse(Buffer.from(data).toString())).data;
    return report !== undefined && removalSubject(report.process) === subject ? report : undefined;
  } catch {
    return undefined;
  }
}
