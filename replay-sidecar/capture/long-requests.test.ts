import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { field, headOf } from './routes/testing.ts';
import { areAllEnded, drain, eventOf, openSpool, temporaryFolder, turn } from './spool/testing.ts';
import { answer, answering, identifiers, openCapture, type TestCapture, unknown } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});

afterEach(() => test[Symbol.asyncDispose]());

const MANY = 3000;
const NAMES = Array.from({ length: MANY }, (_, index) => `user-${index}`);
const BULK = Buffer.from(
  JSON.stringify(
    NAMES.map((identifier) => ({ identity: { identifier }, trait_key: 'plan', trait_value: 'enterprise' })),
  ),
);

async function untilEnded(): Promise<void> {
  while (!(await areAllEnded(test.spool))) await turn();
}

/** All events, once the parts of the request are ended. */
async function settled(): Promise<string[]> {
  await untilEnded();
  return identifiers(await test.published());
}

describe('a long request', () => {
  it('is noted down in parts, all of them before its end is forwarded, and published in full', async () => {
    const begun = test.begin('PUT traits/bulk/');
    await begun.intent(BULK, 'whole');
    expect(test.spool.facts().open).toBe(Math.ceil(MANY / 250));
    begun.finish(answer(200));
    expect(await settled()).toEqual(NAMES);
  });

  it('leaves the event loop to others between its parts', async () => {
    const begun = test.begin('PUT traits/bulk/');
    let rounds = 0;
    let counting = true;
    const count = () => {
      rounds += 1;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    await begun.intent(BULK, 'whole');
    counting = false;
    expect(rounds).toBeGreaterThanOrEqual(MANY / 250);
    begun.finish(answer(400));
    await settled();
  });

  it('keeps every trait of one identity', async () => {
    const keys = Array.from({ length: 5000 }, (_, index) => `key-${index}`);
    const traits = keys.map((trait_key) => ({ trait_key, trait_value: 'x'.repeat(10) }));
    const begun = test.begin('POST identities/');
    await begun.intent(Buffer.from(JSON.stringify({ traits, identifier: 'alice' })), 'whole');
    begun.finish(answer(200));
    await untilEnded();
    const events = await test.published();
    expect(new Set(identifiers(events))).toEqual(new Set(['alice']));
    expect(events.flatMap(({ touched }) => touched.traits)).toEqual(keys);
  });

  it('is published even if it ends while it is still being read', async () => {
    const begun = test.begin('PUT traits/bulk/');
    void begun.intent(BULK, 'whole');
    begun.finish(unknown);
    expect(await settled()).toEqual(NAMES);
  });

  it('lets no report say that all is sent while it is read', async () => {
    const began = test.clock.now();
    const begun = test.begin('PUT traits/bulk/');
    void begun.intent(BULK, 'whole');
    test.clock.advance(400);
    expect(test.spool.facts().allSentUntil).toBe(began);
    begun.finish(answer(200));
    await settled();
  });

  it('is published after a crash, as of unknown outcome', async () => {
    const begun = test.begin('PUT traits/bulk/');
    await begun.intent(BULK, 'whole');
    using copy = temporaryFolder(test.path);
    await using next = await openSpool(copy.path);
    expect(identifiers((await drain(next.spool)).map(eventOf))).toEqual(NAMES);
    begun.finish(answer(200));
    await settled();
  });

  it('with more values than are read is a gap of its environment', async () => {
    const begun = test.begin('PUT traits/bulk/');
    await begun.intent(Buffer.from(`[${'1,'.repeat(200_000)}1]`), 'whole');
    begun.finish(answer(200));
    expect(await settled()).toEqual([]);
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'bodyUnreadable', scope: [{ clientKey: 'clientkey' }] }]);
  });
});

const MIB = 1024 * 1024;
const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';
const fill = (piece: string, before = '[', after = '0]') => `${before}${piece.repeat(MIB / piece.length - 10)}${after}`;

describe('a hostile body of a megabyte', () => {
  it.each([
    ['empty arrays', JSON_TYPE, fill('[],')],
    ['empty arrays where traits are', JSON_TYPE, fill('[],', '{"identifier":"a","traits":[', '0]}')],
    ['arrays that are too deep to be recorded', JSON_TYPE, fill('[[]],', '{"identifier":"a","x":{"y":{"z":[', '0]}}}')],
    ['numbers', JSON_TYPE, fill('1,')],
    ['members', JSON_TYPE, fill('"a":1,', '{', '"b":1}')],
    ['escapes', JSON_TYPE, fill('\\u0041', '{"identifier":"', '"}')],
    ['one string', JSON_TYPE, fill('x', '{"identifier":"', '"}')],
    ['blanks around a string', JSON_TYPE, fill(' ', '{"identifier":"', 'x"}')],
    ['one number', JSON_TYPE, fill('1', '{"identifier":', '}')],
    ['opening brackets', JSON_TYPE, fill('[')],
    [
      'deletions by objects in place of names',
      JSON_TYPE,
      fill('{"identity":{"identifier":[[1,1,1]]},"trait_key":[1]},'),
    ],
    ['fields', FORM, fill('a&', '', '')],
    ['escaped names', FORM, `${`${'%41%C3a'.repeat(140)}&`.repeat(990)}`],
    ['indexes without an end', FORM, `${`traits[${'0'.repeat(1000)}&`.repeat(990)}`],
    ['raw bytes that are no ASCII', `${FORM}; charset=ascii`, fill('\xff', 'identifier=', '')],
    ['boundaries', 'multipart/form-data; boundary=-', fill('-', '', '')],
  ])('(%s) does not hold the process for 20 ms of its time', async (_, type, text) => {
    const request = text.startsWith('[') ? 'PUT traits/bulk/' : 'POST identities/';
    const bytes = Buffer.from(text, 'latin1');
    const held: number[] = [];
    // The first round also compiles.
    for (let round = 0; round < 4; round += 1) {
      const begun = test.capture.begin(headOf({ request, type }), answering(200));
      held.push(await longestStep(() => begun?.intent(bytes, 'whole') ?? Promise.resolve()));
      begun?.finish(answer(400));
      await settled();
    }
    expect(Math.min(...held)).toBeLessThan(20);
  });
});

/** CPU time in milliseconds of the longest step between two rounds of the event loop. */
async function longestStep(work: () => Promise<void> | void): Promise<number> {
  let longest = 0;
  let last = process.threadCpuUsage();
  const note = () => {
    const now = process.threadCpuUsage();
    longest = Math.max(longest, now.user + now.system - last.user - last.system);
    last = now;
    immediate = setImmediate(note);
  };
  let immediate = setImmediate(note);
  await work();
  await new Promise((resolve) => setImmediate(resolve));
  clearImmediate(immediate);
  return longest / 1000;
}

describe('a query string in another character set', () => {
  const type = (label: string) => field('Content-Type', `application/json; charset=${label}`);
  const read = async (label: string, status: number) => {
    const head = headOf({ request: 'GET identities/?identifier=caf%C3%A9', fields: [type(label)] });
    const begun = test.capture.begin(head, answering(200));
    await begun?.intent(undefined, 'whole');
    begun?.finish(answer(status));
    return identifiers(await test.published());
  };

  it.each([
    ['utf-8', 'café'],
    ['latin-1', 'cafÃ©'],
    ['ascii', 'caf\ufffd\ufffd'],
  ])('is read as %s', async (label, identifier) => {
    expect(await read(label, 200)).toEqual([identifier]);
    expect(test.spool.gaps.list()).toEqual([]);
  });

  it.each(['ibm437', 'utf!7', 'x-cp1252'])('is a gap of its environment where Core accepts %s', async (label) => {
    expect(await read(label, 200)).toEqual([]);
    expect(test.spool.gaps.list()).toMatchObject([{ reason: 'bodyUnreadable', scope: [{ clientKey: 'clientkey' }] }]);
  });

  it('is no gap where Core refuses it', async () => {
    expect(await read('utf!7', 403)).toEqual([]);
    expect(test.spool.gaps.list()).toEqual([]);
  });
});
