import { CoreUnsupportedError } from '@edge-migration/identity/core/errors.ts';
import { expect, test } from 'vitest';
import { createEventRetry } from './event-retry.ts';

const INDEX = new CoreUnsupportedError('the index misses identity 4');
const signal = new AbortController().signal;

/** Attempts continue when released. */
function create() {
  const said: unknown[] = [];
  const pauses: (() => void)[] = [];
  const sleep = () => new Promise<void>((resolve) => pauses.push(resolve));
  const eventRetry = createEventRetry({ sleep, monotonic: () => 0 } as never, (error) => said.push(error));
  return { eventRetry, said, goOn: () => pauses.splice(0).forEach((resume) => void resume()) };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));

test("a store's refusal of one event stays reported while the store answers others", async () => {
  const { eventRetry, said, goOn } = create();
  let isMended = false;
  const stuck = eventRetry.run(async () => {
    if (!isMended) throw INDEX;
  }, signal);
  await turns();
  expect(await eventRetry.run(async () => 'done', signal)).toBe('done');
  goOn();
  await turns();
  expect(eventRetry.outage()).toBe(INDEX);
  expect(said).toEqual([INDEX]);
  isMended = true;
  goOn();
  await stuck;
  expect(eventRetry.outage()).toBeUndefined();
  expect(said).toEqual([INDEX, undefined]);
});

test('work that is given up neither counts against the store nor shows that it answers again', async () => {
  const { eventRetry, said, goOn } = create();
  const stopping = new AbortController();
  const failed = eventRetry.run(async () => {
    throw INDEX;
  }, stopping.signal);
  await turns();
  stopping.abort(new Error('stop'));
  goOn();
  await expect(failed).rejects.toThrow('stop');
  expect(eventRetry.outage()).toBeUndefined();
  expect(said).toEqual([INDEX]);
});
