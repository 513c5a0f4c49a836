import { expect, test } from 'vitest';

import { createMemoryRecord } from '../../job/memory-record.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import type { Candidate } from './candidate.ts';
import { holdRecord } from './held-record.ts';

const { signal } = new AbortController();

const candidate = (identifier: string): Candidate => ({
  kind: 'identity',
  environmentId: 1,
  identifier,
  key: `env_${identifier}`,
  state: 'missing',
});

/** All pods of a range take the same record. */
function createRange() {
  const record = createMemoryRecord();
  const seal = createCheckpointCipher(createCipherKey());
  return (instance: string) => holdRecord(record, { instance, seal }, signal);
}

test('each later pod learns what a killed pod was repairing, until one has compared all of it again', async () => {
  const take = createRange();
  const first = await take('first');
  await first.claim([candidate('ada'), candidate('bob')], signal);
  const second = await take('second');
  await second.claim([candidate('ada')], signal);
  const third = await take('third');
  expect(third.interrupted.map(({ identifier }) => identifier)).toEqual(['ada', 'bob']);
  third.seeTo();
  await third.claim([candidate('eve')], signal);
  expect((await take('fourth')).interrupted.map(({ identifier }) => identifier)).toEqual(['eve']);
});

test('repairs that are to be compared again stay recorded after a save, next to those in progress', async () => {
  const take = createRange();
  const first = await take('first');
  await first.claim([candidate('ada')], signal);
  first.watch([candidate('ada'), candidate('bob')]);
  await first.save({ checkpoint: '{}' }, signal);
  await first.claim([candidate('bob'), candidate('eve')], signal);
  const second = await take('second');
  expect(second.interrupted.map(({ identifier }) => identifier)).toEqual(['ada', 'bob', 'eve']);
  second.seeTo();
  second.watch([candidate('bob')]);
  await second.save({ checkpoint: '{}' }, signal);
  const third = await take('third');
  expect(third.interrupted.map(({ identifier }) => identifier)).toEqual(['bob']);
  third.seeTo();
  await third.save({ checkpoint: '{}' }, signal);
  expect((await take('fourth')).interrupted).toEqual([]);
});

test('the next pod finds no repairs in progress after a save', async () => {
  const take = createRange();
  const first = await take('first');
  await first.claim([candidate('ada')], signal);
  await first.save({ checkpoint: '{}' }, signal);
  const second = await take('second');
  expect(second.interrupted).toEqual([]);
  expect(await second.load(signal)).toMatchObject({ checkpoint: '{}' });
});
