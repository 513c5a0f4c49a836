import { z } from 'zod';

/** The event that Flagsmith sends when "Migrate Identity Data to Edge API" is pressed (docs/flagsmith.md). */
const SOURCE = 'flagsmith.api.migrate';
const DETAIL_TYPE = 'Migrate Identities to dynamodb';

/** An event of EventBridge, from either source. */
export interface BusEvent {
  readonly id: string;
  readonly source: string;
  readonly detailType: string;
  /** Parsed JSON. */
  readonly detail: unknown;
}

/**
 * EventBridge's codes for single entries; only `InternalFailure` is worth another attempt (PutEventsResultEntry in its
 * API reference).
 */
type RefusalCode =
  | 'InvalidArgument'
  | 'MalformedDetail'
  | 'NotAuthorizedForSourceException'
  | 'NotAuthorizedForDetailTypeException'
  | 'InternalFailure';

/** Nothing was done for an event, and why. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
}

export const isEventRefusal = (value: object): value is Refusal => 'code' in value;

const detailSchema = z.object({ project_id: z.int().min(1).max(2_147_483_647) });

/** The project that the event asks to migrate. */
export function readProjectId({ source, detailType, detail }: BusEvent): { projectId: number } | Refusal {
  if (source !== SOURCE) {
    return {
      code: 'NotAuthorizedForSourceException',
      message: `events of source ${quote(source)} are not taken here, only those of ${quote(SOURCE)}`,
    };
  }
  if (detailType !== DETAIL_TYPE) {
    return {
      code: 'NotAuthorizedForDetailTypeException',
      message: `events of detail type ${quote(detailType)} are not taken here, only ${quote(DETAIL_TYPE)}`,
    };
  }
  if (typeof detail !== 'object' || detail === null || Array.isArray(detail)) {
    return { code: 'MalformedDetail', message: 'Detail is malformed: it must be a JSON object' };
  }
  const { data } = detailSchema.safeParse(detail);
  if (data === undefined) {
    return {
      code: 'InvalidArgument',
      message: 'Detail must have project_id, the id of a project: a whole number from 1',
    };
  }
  return { projectId: data.project_id };
}

const LONGEST_QUOTE = 100;

/** Untrusted text in a message: short, and on one line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}
