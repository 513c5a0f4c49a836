import { estimateNames, readSketch } from '@edge-migration/contract/reports/sketch.ts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CaptureOutcome } from './proxy/hook.ts';
import { headOf } from './routes/testing.ts';
import { areAllEnded, turn } from './spool/testing.ts';
import { answer, answering, openCapture, type TestCapture, unknown } from './testing.ts';

let test: TestCapture;

beforeEach(async () => {
  test = await openCapture();
});
afterEach(() => test[Symbol.asyncDispose]());

const sdk = (version: string) => ({
  name: 'User-Agent',
  lower: 'user-agent',
  value: `flagsmith-python-sdk/${version}`,
});

async function exchange(request: string, body: unknown, outcome: CaptureOutcome, version = '3.9.2'): Promise<void> {
  const begun = test.capture.begin(headOf({ request, body, fields: [sdk(version)] }), answering(200));
  await begun?.intent(Buffer.from(JSON.stringify(body) ?? ''), 'whole');
  begun?.finish(outcome);
  await test.published();
}

/** `name writes/reads` of each client in the only environment. */
const counted = () =>
  test.usage
    .page()
    .days.flatMap(({ environments }) => environments)
    .flatMap(({ clients }) => clients.map(([name, writes, reads]) => `${name} ${writes}/${reads}`));

it('counts writes that Core took, by their effect, and reads of identities', async () => {
  await exchange('POST identities/', { identifier: 'alice', traits: [] }, answer(200));
  await exchange('POST traits/', { identity: { identifier: 'alice' }, trait_key: 'a', trait_value: 1 }, answer(200));
  await exchange('GET identities/?identifier=alice', undefined, answer(200, { traits: [], flags: [] }));
  await exchange('GET identities/?identifier=alice', undefined, answer(200, { traits: [{ id: 1 }], flags: [] }));
  await exchange('PUT traits/bulk/', [], answer(200), '3.10.0');
  expect(counted()).toEqual(['flagsmith-python-sdk/3.9.2 2/2', 'flagsmith-python-sdk/3.10.0 0/1']);
});

it('counts each written identity once', async () => {
  const write = (identifier: string) =>
    exchange('POST traits/', { identity: { identifier }, trait_key: 'a', trait_value: 1 }, answer(200));
  for (const identifier of ['alice', 'bob', 'alice']) await write(identifier);
  await exchange('GET identities/?identifier=carol', undefined, answer(200, { traits: [{ id: 1 }], flags: [] }));
  const [day] = test.usage.page().days;
  expect(estimateNames(readSketch(day!.environments[0]!.identities!))).toBe(2);
});

it('counts every identity of a request that writes many, in any number of parts, as one request', async () => {
  const bulk = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ...{ identity: { identifier: `user-${from + index}` }, trait_key: 'plan', trait_value: 'x'.repeat(100) },
    }));
  const known = () => test.usage.page().days[0]!.environments[0]!;
  await exchange('PUT traits/bulk/', bulk(0, 200), answer(200));
  expect(known()).toMatchObject({ writes: 1, named: 200 });
  expect(Math.abs(estimateNames(readSketch(known().identities!)) - 200)).toBeLessThan(40);
  await exchange('PUT traits/bulk/', bulk(0, 600), answer(200));
  // It is long enough to be read in slices, and ends part by part.
  while (!(await areAllEnded(test.spool))) await turn();
  expect(known()).toMatchObject({ writes: 2, named: 800 });
  expect(Math.abs(estimateNames(readSketch(known().identities!)) - 600)).toBeLessThan(120);
});

it('counts an identity that is changed in the dashboard, but no change of the environment itself', async () => {
  await exchange('DELETE environments/clientkey/identities/7/', undefined, answer(204));
  await exchange('PUT environments/clientkey/featurestates/7/', { enabled: true }, answer(200));
  expect(counted()).toEqual(['flagsmith-python-sdk/3.9.2 1/0']);
});

it('counts nothing that Core refused, such as invented keys, or that never reached it', async () => {
  const body = { identifier: 'alice', traits: [] };
  for (const status of [301, 400, 401, 403, 404, 429, 500]) await exchange('POST identities/', body, answer(status));
  await exchange('POST identities/', body, unknown);
  await exchange('POST identities/', body, { kind: 'notSent' });
  expect(counted()).toEqual([]);
});
