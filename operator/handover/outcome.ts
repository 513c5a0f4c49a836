import { type ContainerEnd, describeEnd } from '@edge-migration/runtime/last-words.ts';
import { z } from 'zod';

/** The result of the script (script.py), printed as one line of JSON. */
const outcomeSchema = z.object({
  handover: z.enum(['done', 'verified', 'refused', 'unknownRelease', 'failed']),
  reason: z.string().optional(),
  changed: z.array(z.string()).optional(),
  environments: z.number().optional(),
  serverKeys: z.number().optional(),
  metaRows: z.boolean().optional(),
});

export type HandoverOutcome = z.infer<typeof outcomeSchema>['handover'];

/** An ended hand-over in human-readable form. */
export interface HandoverWords {
  outcome: HandoverOutcome;
  words: string;
}

/** Maximum length of a pod's message in a status. */
const LONGEST = 400;

/** Finds the script's line in a pod's termination message; other text comes from a failure to run it. */
export function readOutcome(end: ContainerEnd | string): HandoverWords {
  const { message = '', ...ending } = typeof end === 'string' ? { message: end } : end;
  const lines = message.split('\n').filter((line) => line.includes('"handover"'));
  for (const line of lines.toReversed()) {
    const found = outcomeSchema.safeParse(parse(line));
    if (found.success) return { outcome: found.data.handover, words: describe(found.data) };
  }
  const words = describeEnd({ message, ...ending }) || 'it ended without a word';
  return { outcome: 'failed', words };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Half a line, cut off by Kubernetes' own limit: not a valid result.
    return undefined;
  }
}

function describe({
  handover,
  reason,
  changed = [],
  environments,
  serverKeys,
  metaRows,
}: z.infer<typeof outcomeSchema>) {
  if (reason !== undefined) return reason.slice(0, LONGEST);
  const meta = metaRows ? ' with their _META rows' : '';
  const subject = `${environments} environments${meta} and ${serverKeys} server keys`;
  if (handover === 'verified') return `this release of Flagsmith can hand over ${subject}`;
  return `${subject} were written${changed.length === 0 ? '' : `, and ${changed.join(', ')} set`}`;
}
