import { z } from 'zod';
import { type BusEvent, quote, type Refusal } from './event.ts';

/** The operation, as AWS JSON 1.1 names it in `X-Amz-Target`. */
export const TARGET = 'AWSEvents.PutEvents';
export const CONTENT_TYPE = 'application/x-amz-json-1.1';

/** EventBridge's limits (API reference of PutEvents). */
const MOST_ENTRIES = 10;
const LARGEST_ENTRIES_BYTES = 1024 * 1024;
const LONGEST_DETAIL_TYPE = 128;
const LONGEST_RESOURCE = 2048;
const TIME_BYTES = 14;

/** A request that fails as a whole: AWS's name of the error, and its HTTP status. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: string;
  readonly status: number;
  /** Further members of the response. */
  readonly members: object;

  constructor(
    code: string,
    message: string,
    { status = 400, members = {} }: { status?: number; members?: object } = {},
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.members = members;
  }
}

const entrySchema = z.object({
  Time: z.union([z.number(), z.string()]).nullish(),
  Source: z.string().nullish(),
  DetailType: z.string().nullish(),
  Detail: z.string().nullish(),
  EventBusName: z.string().nullish(),
  Resources: z.array(z.string()).nullish(),
  TraceHeader: z.string().nullish(),
});
type Entry = z.output<typeof entrySchema>;

const requestSchema = z.object({ Entries: z.array(entrySchema) });

/**
 * Reads the body of PutEvents.
 *
 * @param eventBus the only event bus
 * @param nextId gives each event its id
 * @returns for each entry, in order, its event or why there is none
 * @throws ProtocolError
 */
export function parsePutEvents(
  body: Uint8Array,
  { eventBus, nextId }: { eventBus: string; nextId: () => string },
): (BusEvent | Refusal)[] {
  const { data } = requestSchema.safeParse(parseJsonText(body));
  if (data === undefined)
    throw new ProtocolError('SerializationException', 'the body is not that of PutEvents, in JSON and UTF-8');
  const { Entries } = data;
  if (Entries.length < 1 || Entries.length > MOST_ENTRIES) {
    throw new ProtocolError(
      'ValidationException',
      `Entries has ${Entries.length} members; it must have 1 to ${MOST_ENTRIES}`,
    );
  }
  const size = Entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
  if (size >= LARGEST_ENTRIES_BYTES) {
    throw new ProtocolError(
      'ValidationException',
      `the entries have ${size} bytes; they must have less than ${LARGEST_ENTRIES_BYTES}`,
    );
  }
  return Entries.map((entry) => readEntry(entry, eventBus, nextId));
}

/** As counted by EventBridge. */
function sizeOf({ Time, Source, DetailType, Detail, Resources }: Entry): number {
  const texts = [Source, DetailType, Detail, ...(Resources ?? [])];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ''), Time == null ? 0 : TIME_BYTES);
}

function readEntry(entry: Entry, eventBus: string, nextId: () => string): BusEvent | Refusal {
  const { Source: source, DetailType: detailType, Detail } = entry;
  if (!source || !detailType || !Detail) return invalid('Source, DetailType and Detail are required');
  if (detailType.length > LONGEST_DETAIL_TYPE)
    return invalid(`DetailType has more than ${LONGEST_DETAIL_TYPE} characters`);
  if (entry.Resources?.some((name) => name.length > LONGEST_RESOURCE)) {
    return invalid(`a member of Resources has more than ${LONGEST_RESOURCE} characters`);
  }
  const bus = entry.EventBusName ?? 'default';
  if (nameOfBus(bus) !== eventBus) {
    return invalid(
      `there is no event bus ${quote(bus)} here: set IDENTITY_MIGRATION_EVENT_BUS_NAME of Flagsmith to ${quote(eventBus)}`,
    );
  }
  const detail = parseJsonText(Buffer.from(Detail));
  if (detail === undefined) return { code: 'MalformedDetail', message: 'Detail is malformed: it is not JSON' };
  return { id: nextId(), source, detailType, detail };
}

/** A bus may be given by its ARN. */
const nameOfBus = (nameOrArn: string) => nameOrArn.replace(/^arn:aws[\w-]*:events:[\w-]+:\d{12}:event-bus\//, '');

const invalid = (message: string): Refusal => ({ code: 'InvalidArgument', message });

/** Undefined for invalid JSON; JSON itself has no such value. */
function parseJsonText(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** The result of an entry. */
export type EntryResult = { readonly id: string } | Refusal;

/**
 * The response to PutEvents.
 *
 * @throws ProtocolError if no entry was accepted, with status 500 if a retry may help. EventBridge reports such a
 *   failure for each entry alone, but Flagsmith ignores entries: it would answer 202 and show a migration as scheduled
 *   that does not exist
 */
export function answerPutEvents(results: readonly EntryResult[]): object {
  const refusals = results.flatMap((result, index) => ('code' in result ? [{ index, ...result }] : []));
  const members = {
    FailedEntryCount: refusals.length,
    Entries: results.map((result) =>
      'code' in result ? { ErrorCode: result.code, ErrorMessage: result.message } : { EventId: result.id },
    ),
  };
  if (refusals.length < results.length) return members;
  const mayHelp = refusals.some(({ code }) => code === 'InternalFailure');
  const text = refusals.map(({ index, code, message }) => `entry ${index + 1}: ${code}: ${message}`).join('; ');
  throw mayHelp
    ? new ProtocolError('InternalException', text, { status: 500, members })
    : new ProtocolError('ValidationException', text, { members });
}
