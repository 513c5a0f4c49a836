/** Writes of a repair that arrive after their sender has given up on them, while Core deletes the identity. */
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import type { DynamodbCall } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createTestProject, type TestProject } from '../../copy/worker/testing/project.ts';
import { createMemoryRecord } from '../../job/memory-record.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { verify } from './testing/verification.ts';
import type { VerifyOptions } from './verify-range.ts';

vi.setConfig({ testTimeout: 600_000 });

/** Longer than any other wait of a comparison. */
const LATE_MS = 1_500;
const HOLD_MS = 600;

let project: TestProject;
let key: string;

beforeAll(async () => {
  project = await createTestProject({ identities: 20 });
  await project.copy();
});
afterAll(() => project[Symbol.asyncDispose]());

beforeEach(async () => {
  const [environment] = project.stores.project.environments;
  key = `${environment!.apiKey}_ada`;
  await project.sql(
    `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits) VALUES ('ada', now(), $1, '{}')`,
    [environment!.id],
  );
});

afterEach(async () => {
  project.proxy.inject(undefined);
  await deleteAda();
});

const deleteAda = () => project.sql(`DELETE FROM environments_identity WHERE identifier = 'ada'`);
const find = () => project.tables.get(key);
const isInsert = ({ operation, body }: DynamodbCall) => operation === 'PutItem' && JSON.stringify(body).includes(key);

/** Holds back Ada's insert the first time that it is sent, until it is released. */
function holdInsert() {
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
  const { promise: sent, resolve: noteSent } = Promise.withResolvers<void>();
  let isHeld = false;
  project.proxy.inject((call) => {
    if (isHeld || !isInsert(call)) return undefined;
    isHeld = true;
    noteSent();
    return { kind: 'holdUp', until };
  });
  const arrive = async () => {
    letGo();
    await waitFor(async () => (await find()) !== undefined, { for: 'the insert to arrive' });
  };
  return { sent, arrive };
}

/** A clock that does something before the first wait for late writes. */
function clockBefore(milliseconds: number, act: () => Promise<unknown>): Clock {
  let isDone = false;
  return {
    ...systemClock,
    async sleep(wanted, signal) {
      if (!isDone && wanted > milliseconds) {
        isDone = true;
        await act();
      }
      await systemClock.sleep(wanted, signal);
    },
  };
}

/** The pods of one run, which share the record and its key. */
function createRun(): (instance: string, changes?: Partial<VerifyOptions>, signal?: AbortSignal) => Promise<unknown> {
  const record = createMemoryRecord();
  const seal = createCheckpointCipher(createCipherKey());
  const late = { lateWriteMs: LATE_MS, holdMs: HOLD_MS };
  return (instance, changes, signal) =>
    verify(project, { record, seal, instance, repair: 'Core', ...late, ...changes }, signal);
}

test('the pod that takes over removes a late insert of a killed pod', async () => {
  const pod = createRun();
  const held = holdInsert();
  const killed = new AbortController();
  const first = pod('first', {}, killed.signal).catch((error: unknown) => error);
  await held.sent;
  killed.abort(new Error('killed'));
  expect(await first).toMatchObject({ message: 'killed' });
  await deleteAda();
  let isWaited = false;
  const clock = clockBefore(LATE_MS, () => {
    isWaited = true;
    return held.arrive();
  });
  await pod('second', { clock });
  if (!isWaited) await held.arrive();
  expect(await find()).toBeUndefined();
});

test('a pod waits for an insert that it gave up, and removes it', async () => {
  const pod = createRun();
  const held = holdInsert();
  let isWaited = false;
  const clock = clockBefore(LATE_MS / 2, () => {
    isWaited = true;
    return held.arrive();
  });
  const repaired = pod('only', { clock });
  await held.sent;
  await deleteAda();
  await repaired;
  if (!isWaited) await held.arrive();
  expect(await find()).toBeUndefined();
});

test('a pod that was frozen during a repair, until another took over, writes nothing and ends', async () => {
  const record = createMemoryRecord();
  const before = project.proxy.writes();
  let ahead = 0;
  let isTaken = false;
  project.proxy.inject(({ operation }) => {
    // The repair's own read of Edge, with which it began.
    if (operation !== 'GetItem' || isTaken) return undefined;
    isTaken = true;
    ahead = 10 * HOLD_MS;
    void record.save({ ...record.texts(), holder: 'another' }, new AbortController().signal);
    return undefined;
  });
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
  const standing = verify(project, { record, clock, repair: 'Core', holdMs: HOLD_MS });
  await expect(standing).rejects.toThrow('another pod (another) has taken over this range');
  expect(isTaken).toBe(true);
  expect(project.proxy.writes()).toBe(before);
  expect(await find()).toBeUndefined();
});

test('a pod that takes over a range without repairs in progress does not wait', async () => {
  const pod = createRun();
  await pod('first');
  expect(await find()).toBeDefined();
  const waits: number[] = [];
  await pod('second', { clock: clockBefore(LATE_MS, async () => waits.push(1)) });
  expect(waits).toEqual([]);
  await project.stores.edge.identities.deleteIfUnchanged((await find())!);
});
