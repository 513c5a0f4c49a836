import { z } from 'zod';
import { reportSubject } from '../streams/applier.ts';

/**
 * What one applier process has removed from the parking stream. The stream tells how much was removed from it altogether, so
 * that the operator finds what nobody speaks for (docs/design.md, "What NATS loses").
 */
const removalReport = z.object({
  version: z.literal(1),
  process: z.string().max(300),
  /** When that stream was made, as NATS reports it: counts begin at 0 with another one. */
  created: z.string().max(64),
  removed: z.int().nonnegative(),
  /** About to be removed, at most. */
  pending: z.int().nonnegative(),
});
export type RemovalReport = z.infer<typeof removalReport>;

/** Beside the reports, and kept as long. */
export const removalSubject = (process: string): string => `${reportSubject(process)}~removals`;

/** The report in a message; undefined when it is none. */
export function decodeRemovals({ subject, data }: { subject: string; data: Uint8Array }): RemovalReport | undefined {
  try {
    const report = removalReport.safeParse(JSON.parse(Buffer.from(data).toString())).data;
    return report !== undefined && removalSubject(report.process) === subject ? report : undefined;
  } catch {
    return undefined;
  }
}
