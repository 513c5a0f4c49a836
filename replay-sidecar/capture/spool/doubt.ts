import { gapReason } from '@edge-migration/contract/reports/coverage.ts';
import { writeScope } from '@edge-migration/contract/write-scope.ts';
import { z } from 'zod';

const doubt = z.object({ reason: gapReason, scope: z.array(writeScope).readonly() });

/** A possible change by a request that no event can report: a gap, unless its end is seen and says otherwise. */
export type Doubt = z.infer<typeof doubt>;

/** No event's id begins like this. */
const MARK = '! ';

/** As a line of an intent, beside those of its events. */
export function encodeDoubt({ reason, scope }: Doubt): string {
  return MARK + JSON.stringify({ reason, scope });
}

/** The doubts among an intent's lines, and the lines without them. */
export function separateDoubts(lines: string): { doubts: Doubt[]; lines: string } {
  if (!lines.includes(MARK)) return { doubts: [], lines };
  const all = lines.split('\n');
  const doubts = all.filter((line) => line.startsWith(MARK));
  return {
    doubts: doubts.map((line) => doubt.parse(JSON.parse(line.slice(MARK.length)))),
    lines: all.filter((line) => !line.startsWith(MARK)).join('\n'),
  };
}
