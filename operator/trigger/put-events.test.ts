import { describe, expect, it } from 'vitest';
import { readProjectId } from './event.ts';
import { answerPutEvents, type ProtocolError, parsePutEvents } from './put-events.ts';

const BUTTON = {
  EventBusName: 'migrations',
  Source: 'flagsmith.api.migrate',
  DetailType: 'Migrate Identities to dynamodb',
  Detail: '{"project_id": 42}',
};

const parse = (body: unknown) => {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return parsePutEvents(bytes, { eventBus: 'migrations', nextId: () => 'id' });
};
const parseEntry = (changes: object) => parse({ Entries: [{ ...BUTTON, ...changes }] })[0];

function errorOf(act: () => unknown): ProtocolError {
  try {
    return act() as never;
  } catch (error) {
    return error as ProtocolError;
  }
}

describe('a request of PutEvents', () => {
  it("has an event for each entry, as Flagsmith's", () => {
    const event = {
      id: 'id',
      source: 'flagsmith.api.migrate',
      detailType: 'Migrate Identities to dynamodb',
      detail: { project_id: 42 },
    };
    expect(parse({ Entries: [BUTTON, BUTTON] })).toEqual([event, event]);
    expect(readProjectId(event)).toEqual({ projectId: 42 });
  });

  it("may give the bus by its ARN, and have EventBridge's other fields", () => {
    const arn = 'arn:aws:events:eu-west-2:123456789012:event-bus/migrations';
    const changes = { EventBusName: arn, Time: 1_790_000_000, Resources: ['arn:x'], TraceHeader: 'Root=1' };
    expect(parseEntry(changes)).toMatchObject({ id: 'id' });
  });

  it.each<[string, unknown, string, RegExp]>([
    ['invalid JSON', '{"Entries":', 'SerializationException', /JSON/],
    [
      'invalid UTF-8',
      Buffer.from('{"Entries": [], "EndpointId": "\xff"}', 'latin1'),
      'SerializationException',
      /UTF-8/,
    ],
    ['no entries', {}, 'SerializationException', /PutEvents/],
    ['a number where a text belongs', { Entries: [{ ...BUTTON, Detail: 42 }] }, 'SerializationException', /PutEvents/],
    ['an empty list', { Entries: [] }, 'ValidationException', /0 members; it must have 1 to 10/],
    ['eleven entries', { Entries: Array(11).fill(BUTTON) }, 'ValidationException', /11 members/],
    [
      'a megabyte',
      { Entries: [{ ...BUTTON, Resources: ['x'.repeat(1024 * 1024)] }] },
      'ValidationException',
      /must have less than 1048576/,
    ],
  ])('is refused as a whole if it has %s', (_, body, code, message) => {
    const error = errorOf(() => parse(body));
    expect(error).toMatchObject({ name: 'ProtocolError', code, status: 400 });
    expect(error.message).toMatch(message);
  });

  it.each<[string, object, string, RegExp]>([
    ['no source', { Source: undefined }, 'InvalidArgument', /Source, DetailType and Detail are required/],
    ['an empty detail', { Detail: '' }, 'InvalidArgument', /required/],
    ['a long detail type', { DetailType: 'x'.repeat(129) }, 'InvalidArgument', /128/],
    ['a long resource', { Resources: ['x'.repeat(2049)] }, 'InvalidArgument', /2048/],
    [
      'another bus',
      { EventBusName: 'other' },
      'InvalidArgument',
      /no event bus "other" here: set IDENTITY_MIGRATION_EVENT_BUS_NAME/,
    ],
    ['no bus, which is the default one', { EventBusName: undefined }, 'InvalidArgument', /no event bus "default"/],
    ['a detail that is not JSON', { Detail: 'project 42' }, 'MalformedDetail', /not JSON/],
  ])('has an error for an entry with %s', (_, changes, code, message) => {
    const refusal = parseEntry(changes) as { code: string; message: string };
    expect(refusal.code).toBe(code);
    expect(refusal.message).toMatch(message);
  });
});

describe('an event', () => {
  const read = (changes: object) =>
    readProjectId({
      id: 'id',
      source: BUTTON.Source,
      detailType: BUTTON.DetailType,
      detail: { project_id: 1 },
      ...changes,
    });

  it.each<[string, object, string]>([
    ['another source', { source: 'aws.s3' }, 'NotAuthorizedForSourceException'],
    ['another detail type', { detailType: 'Object Created' }, 'NotAuthorizedForDetailTypeException'],
    ['a detail that is a list', { detail: [42] }, 'MalformedDetail'],
    ['no project', { detail: {} }, 'InvalidArgument'],
    ['a project by name', { detail: { project_id: '42' } }, 'InvalidArgument'],
    ['project 0', { detail: { project_id: 0 } }, 'InvalidArgument'],
    ['a fractional project id', { detail: { project_id: 1.5 } }, 'InvalidArgument'],
    ['a project id beyond int4', { detail: { project_id: 2_147_483_648 } }, 'InvalidArgument'],
  ])('with %s is refused', (_, changes, code) => {
    expect(read(changes)).toMatchObject({ code });
  });

  it('is quoted briefly and on one line', () => {
    const { message } = read({ source: `\n${'x'.repeat(10_000)}` }) as { message: string };
    expect(message.length).toBeLessThan(300);
    expect(message).not.toContain('\n');
  });
});

describe('the response to PutEvents', () => {
  const taken = { id: 'one' };
  const unknown = { code: 'InvalidArgument', message: 'project 7 is not in Core' } as const;
  const outage = { code: 'InternalFailure', message: 'send it again' } as const;

  it('has the result of each entry, in order', () => {
    expect(answerPutEvents([unknown, taken, outage])).toEqual({
      FailedEntryCount: 2,
      Entries: [
        { ErrorCode: 'InvalidArgument', ErrorMessage: 'project 7 is not in Core' },
        { EventId: 'one' },
        { ErrorCode: 'InternalFailure', ErrorMessage: 'send it again' },
      ],
    });
  });

  it('is an error if no entry was accepted, which Flagsmith would not notice otherwise', () => {
    const error = errorOf(() => answerPutEvents([unknown]));
    expect(error).toMatchObject({ code: 'ValidationException', status: 400 });
    expect(error.message).toBe('entry 1: InvalidArgument: project 7 is not in Core');
    expect(error.members).toMatchObject({ FailedEntryCount: 1 });
  });

  it('is an error that SDKs retry if that may help', () => {
    expect(errorOf(() => answerPutEvents([unknown, outage]))).toMatchObject({ code: 'InternalException', status: 500 });
  });
});
