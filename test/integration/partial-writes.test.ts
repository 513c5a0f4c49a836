/**
 * Requests that change Core without reporting it: it answers with an error and keeps what it committed, or its worker
 * dies before it answers (docs/flagsmith.md, "No transaction spans a request").
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { ADMIN, CLIENT_KEY, createFixture, type Fixture } from '../core/api/testing/fixture.ts';
import { holdLock } from '../core/api/testing/lock.ts';
import { startWorkers, type Workers } from './partial-writes/workers.ts';
import type { Request } from './route-coverage/request.ts';
import { changesOf } from './route-coverage/rows.ts';
import { createStage, type Stage } from './route-coverage/stage.ts';

let core: Fixture;
let stage: Stage;

beforeAll(async () => {
  core = await createFixture();
  stage = await createStage(core.databaseUrl, core.api.port);
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await core?.[Symbol.asyncDispose]();
});
beforeEach(() => core.reset());

/** `PUT traits/bulk/ [...]` as a request by the environment's SDKs, or by an admin below `environments/`. */
function requestOf(line: string, more: Readonly<Record<string, string>> = {}): Request {
  const [, method = '', path = '', body] = /^(\S+) (\S+)(?: (.*))?$/.exec(line) ?? [];
  const headers = { 'x-environment-key': CLIENT_KEY, 'content-type': 'application/json', ...ADMIN, ...more };
  return { method, target: `/api/v1/${path}`, headers, body };
}

const LONG_KEY = 'k'.repeat(201);
const LONG_VALUE = 'x'.repeat(2001);
const bulkItem = (identifier: string, key: string, value: string) =>
  `{"identity": {"identifier": "${identifier}"}, "trait_key": "${key}", "trait_value": ${value}}`;

/** The request, Core's answer, and what it has kept nevertheless. */
const KEPT: readonly (readonly [line: string, status: number, kept: string])[] = [
  ...['2147483648', '"a\\u0000"', '"\\ud800"'].map(
    (value) =>
      [
        `POST identities/ {"identifier": "new", "traits": [{"trait_key": "a", "trait_value": ${value}}]}`,
        500,
        'the identity',
      ] as const,
  ),
  [
    'POST identities/ {"identifier": "new", "traits": [{"trait_key": "a", "trait_value": 1}, {"trait_key": "a", "trait_value": 2}]}',
    500,
    'the identity',
  ],
  [
    'POST identities/ {"identifier": "ann", "traits": [{"trait_key": "plan", "trait_value": 1e999}]}',
    500,
    'the trait, as Infinity',
  ],
  ...['[1]', '2147483648', `"${LONG_VALUE}"`].map(
    (value) => [`POST identities/new/traits/a {"trait_value": ${value}}`, 400, 'the trait, as NULL'] as const,
  ),
  [
    `POST traits/ {"identity": {"identifier": "new"}, "trait_key": "${LONG_KEY}", "trait_value": 1}`,
    500,
    'the identity',
  ],
  [
    'POST traits/ {"identity": {"identifier": "new"}, "trait_key": "a", "trait_value": 2147483648}',
    500,
    'the identity',
  ],
  [`PUT traits/bulk/ [${bulkItem('ann', 'plan', 'null')}, ${bulkItem('ann', '', '1')}]`, 400, 'the removal of a trait'],
  [
    `PUT traits/bulk/ [${bulkItem('new', 'a', '1')}, ${bulkItem('bob', 'a', '2147483648')}]`,
    500,
    'the identities in front',
  ],
  ['POST traits/increment-value/ {"identifier": "new", "trait_key": "n", "increment_by": 2147483648}', 500, 'a zero'],
  [
    `POST traits/increment-value/ {"identifier": "new", "trait_key": "${LONG_KEY}", "increment_by": 1}`,
    500,
    'the identity',
  ],
];

describe('what Core keeps of a request that it answers with an error', () => {
  it.each(KEPT)('%s: %i, yet %s', async (line, status) => {
    await core.addIdentity('ann', { plan: 'gold' });
    const seen = await stage.observe(() => requestOf(line));
    expect(seen.status).toBe(status);
    expect(seen.changes.length).toBeGreaterThan(0);
    expect(seen.missed).toEqual([]);
    expect(seen.events.map(({ outcome }) => outcome)).toContain('known');
  });

  it('is in an event when traits are not to be stored', async () => {
    await core.query('UPDATE organisations_organisation SET persist_trait_data = false');
    const seen = await stage.observe(() => requestOf('POST identities/new/traits/a {"trait_value": 1}'));
    expect(seen).toMatchObject({ status: 500, missed: [], changes: [{ kind: 'appeared' }] });
  });
});

/** One request for each way in which SDKs and admins write an identity; `<ann>` stands for the id of one. */
const WRITES: readonly string[] = [
  'POST identities/ {"identifier": "new", "traits": [{"trait_key": "a", "trait_value": 1}]}',
  'GET identities/?identifier=new',
  'GET identities/new/',
  'GET flags/new',
  'POST identities/new/traits/a {"trait_value": 1}',
  'POST traits/ {"identity": {"identifier": "new"}, "trait_key": "a", "trait_value": 1}',
  `PUT traits/bulk/ [${bulkItem('new', 'a', '1')}, ${bulkItem('ann', 'plan', 'null')}]`,
  'POST traits/increment-value/ {"identifier": "new", "trait_key": "n", "increment_by": 1}',
  'POST environments/client-key/identities/ {"identifier": "new"}',
  'POST environments/client-key/identities/<ann>/traits/ {"trait_key": "a", "value_type": "int", "integer_value": 1}',
  'POST environments/client-key/delete-traits/ {"key": "plan"}',
  'POST environments/client-key/identities/<ann>/featurestates/ {"feature": 1, "enabled": true}',
];
/** The sidecar looks up in advance what these remove; that look-up has no commit after which the worker could die. */
const REMOVALS: readonly string[] = [
  'PATCH environments/client-key/identities/<ann>/ {"identifier": "new"}',
  'DELETE environments/client-key/identities/<ann>/',
];

describe('the committed writes of a killed API worker', () => {
  let workers: Workers;
  let killing: Stage;

  beforeAll(async () => {
    workers = await startWorkers(core.databaseUrl);
    killing = await createStage(core.databaseUrl, workers.port);
  });
  afterAll(async () => {
    await killing?.[Symbol.asyncDispose]();
    await workers?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await waitFor(workers.ready, { for: 'a worker' });
  });

  /** The request with the id that it names, sent with the fault. */
  async function writeOf(line: string, fault: string): Promise<Request> {
    const id = await core.addIdentity('ann', { plan: 'gold' });
    return requestOf(line.replace('<ann>', String(id)), { 'x-fixture-fault': fault });
  }

  it.each([
    ...WRITES.map((line) => [line, 'crash-after'] as const),
    ...REMOVALS.map((line) => [line, 'crash-after-write=1'] as const),
  ])('%s is in an event that is handled once more, later (%s)', async (line, fault) => {
    const request = await writeOf(line, fault);
    const seen = await killing.observe(() => request);
    expect(seen.status === undefined || seen.status === 502).toBe(true);
    expect(seen.changes.length).toBeGreaterThan(0);
    expect(seen.missed).toEqual([]);
    expect(seen.events.map(({ outcome }) => outcome)).not.toContain('known');
  });

  it.each(WRITES)('%s is in no event before the commit', async (line) => {
    const request = await writeOf(line, 'lock-before=81, crash-after');
    await using lock = await holdLock(core.databaseUrl, 81);
    const before = await killing.rows();
    const sent = killing.observe(() => request);
    await waitFor(lock.isAwaited, { for: 'the request to be at the API' });
    expect(killing.spool.facts()).toMatchObject({ open: 1, depth: 0 });
    expect(changesOf(before, await killing.rows())).toEqual([]);
    const released = Date.now();
    await lock.release();
    const seen = await sent;
    expect(seen.changes.length).toBeGreaterThan(0);
    expect(seen.missed).toEqual([]);
    for (const { outcome, observedTime } of seen.events) {
      expect(outcome).toBe('unknown');
      expect(Date.parse(observedTime)).toBeGreaterThanOrEqual(released);
    }
  });
});
