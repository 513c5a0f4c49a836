import { CoreUnsupportedError } from '@edge-migration/identity/core/errors.ts';
import { expect, test } from 'vitest';
import { createPatience } from './patience.ts';

const INDEX = new CoreUnsupportedError('the index misses identity 4');
const signal = new AbortController().signal;

/** Attempts continue when released. */
function create() {
  const said: unknown[] = [];
  const pauses: (() => void)[] = [];
  const sleep = () => new Promise<void>((resolve) => pauses.push(resolve));
  const patience = createPatience({ sleep, monotonic: () => 0 } as never, (error) => said.push(error));
  return { patience, said, goOn: () => pauses.splice(0).forEach((resume) => void resume()) };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));

test("a store's refusal of one event stays reported while the store answers others", async () => {
  const { patience, said, goOn } = create();
  let isMended = false;
  const stuck = patience.persist(async () => {
    if (!isMended) throw INDEX;
  }, signal);
  await turns();
  expect(await patience.persist(async () => 'done', signal)).toBe('done');
  goOn();
  await turns();
  expect(patience.outage()).toBe(INDEX);
  expect(said).toEqual([INDEX]);
  isMended = true;
  goOn();
  await stuck;
  expect(patience.outage()).toBeUndefined();
  expect(said).toEqual([INDEX, undefined]);
});

test('work that is given up neither counts against the store nor shows that it answers again', async () => {
  const { patience, said, goOn } = create();
  const stopping = new AbortController();
  const failed = patience.persist(async () => {
    throw INDEX;
  }, stopping.signal);
  await turns();
  stopping.abort(new Error('stop'));
  goOn();
  await expect(failed).rejects.toThrow('stop');
  expect(patience.outage()).toBeUndefined();
  expect(said).toEqual([INDEX]);
});
