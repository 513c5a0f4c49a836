import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { expect, test } from 'vitest';
import { createCheckpointCipher, createCipherKey } from '../verify/checkpoint-cipher.ts';
import { holdRecord } from '../verify/worker/held-record.ts';
import { createRecord } from './record.ts';

const fake = useFake([CONFIG_MAPS]);
const { signal } = new AbortController();
const reference = { namespace: 'edge-migration', name: 'project-42-0a1b2c3d-range-0' };
const root = { name: 'root', uid: 'root-uid', labels: {}, annotations: {}, settings: {} };

/** Each pod has a connection of its own. */
const openRecord = (client: KubernetesClient = fake.connect()) =>
  createRecord(client, { ...reference, root, fieldManager: 'copy-worker' });

const texts = async () => (await fake.client.get(CONFIG_MAPS, reference))?.['data'];

const takenOver = (by: string) => ({ name: 'WorkerError', message: expect.stringContaining(by) });

test("a pod that was considered dead does not overwrite its successor's record", async () => {
  const [first, second] = [openRecord(), openRecord()];
  await first.load(signal);
  await first.save({ checkpoint: '{"instance":"first","page":1}' }, signal);
  await second.load(signal);
  await second.save({ checkpoint: '{"instance":"second","page":2}' }, signal);
  await expect(first.save({ checkpoint: '{"instance":"first","page":2}' }, signal)).rejects.toMatchObject(
    takenOver('second'),
  );
  expect(await texts()).toEqual({ checkpoint: '{"instance":"second","page":2}' });
  // Nor its last error, which it adds to the texts that it knows.
  await expect(first.save({ ...first.known(), error: 'taken over' }, signal)).rejects.toMatchObject(
    takenOver('second'),
  );
});

test('only one of two pods that create a record at the same time holds it', async () => {
  const [first, second] = [openRecord(), openRecord()];
  await Promise.all([first.load(signal), second.load(signal)]);
  await first.save({ holder: 'first' }, signal);
  await expect(second.save({ holder: 'second' }, signal)).rejects.toMatchObject(takenOver('first'));
});

test('a holder saves despite changes outside its texts and despite a lost answer to its own write', async () => {
  const record = openRecord();
  await record.load(signal);
  await record.save({ checkpoint: 'one' }, signal);
  const labels = { reviewed: 'yes' };
  await fake.client.patch(CONFIG_MAPS, reference, { metadata: { labels } });
  await record.save({ checkpoint: 'two' }, signal);
  // As left by the lost write.
  await fake.client.patch(CONFIG_MAPS, reference, { data: { checkpoint: 'three' } });
  await record.save({ checkpoint: 'three' }, signal);
  await record.save({ checkpoint: 'four' }, signal);
  expect(await texts()).toEqual({ checkpoint: 'four' });
});

test('a pod that loses its range between reading the holder and writing does not become the holder again', async () => {
  const seal = createCheckpointCipher(createCipherKey());
  const client = fake.connect();
  let isLate = false;
  // Its second write is sent after the other pod has taken over the range.
  const late: KubernetesClient = {
    ...client,
    async apply(...request) {
      if (isLate) await holdRecord(openRecord(), { instance: 'second', seal }, signal);
      return client.apply(...request);
    },
  };
  const first = await holdRecord(openRecord(late), { instance: 'first', seal }, signal);
  isLate = true;
  await expect(first.claim([], signal)).rejects.toMatchObject(takenOver('second'));
  expect(await texts()).toMatchObject({ holder: 'second' });
});
