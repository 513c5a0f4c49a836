/** An applier whose NATS comes back without the end of its data. */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StreamReport } from '@edge-migration/contract/reports/applier.ts';
import { STREAM } from '@edge-migration/contract/streams/events.ts';
import { isRetaken, noteState, streamStateOf } from '@edge-migration/contract/streams/watermark.ts';
import { momentOf, systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { createHarness, type Harness, people, written } from './applier/harness.ts';

let on: Harness;
const folder = createFolder('applier-losses');

beforeAll(async () => {
  on = await createHarness();
});

afterAll(async () => {
  await on[Symbol.asyncDispose]();
  removeFolder(folder);
});

/** Events of a project that does not migrate, handled at once by doing nothing. */
const publish = (prefix: string, count: number) =>
  on.publish(...people(count).map((name) => written(404, `${prefix} ${name}`)));

async function dataFolder(): Promise<string> {
  const answer = (await (await fetch(`${on.nats.monitorUrl}/jsz?config=1`)).json()) as {
    config: { store_dir: string };
  };
  return answer.config.store_dir;
}

/** Kills NATS and restores it with its data from before `change`. */
async function loseEnd(change: () => Promise<void>): Promise<void> {
  const data = await dataFolder();
  const earlier = join(folder, 'earlier');
  await rm(earlier, { recursive: true, force: true });
  await cp(data, earlier, { recursive: true });
  await change();
  await on.nats.kill('SIGKILL');
  await rm(data, { recursive: true });
  await cp(earlier, data, { recursive: true });
  await on.nats.restart();
  const isBack = async () => (await on.manager.streams.info(STREAM).catch(() => undefined)) !== undefined;
  await waitFor(isBack, { for: 'the stream to be back', timeoutMs: 120_000 });
}

/** Reports of all applier processes about the stream, including those of earlier tests. */
const streamReports = async (): Promise<StreamReport[]> =>
  (await on.reports()).flatMap(({ streams }) => streams ?? []).filter(({ stream }) => stream === STREAM);

const lastSequence = async () => (await on.manager.streams.info(STREAM)).state.last_seq;
/** Waits until the applier has handled everything up to it, and has made a report since. */
async function handledUpTo(sequence: number): Promise<void> {
  const isHandled = async () => ((await on.consumer())?.ack_floor.stream_seq ?? 0) >= sequence;
  await waitFor(isHandled, { for: 'the applier to have handled all', timeoutMs: 120_000 });
  const handled = Date.now();
  const isReported = async () => (await on.reports()).some(({ time }) => Date.parse(time) > handled);
  await waitFor(isReported, { for: 'a report since', timeoutMs: 120_000 });
}

test('an applier reports that NATS lost events although others have taken their sequences and are handled', {
  timeout: 600_000,
}, async () => {
  onTestFinished(on.start());
  await publish('kept', 8);
  await on.drained();
  await loseEnd(async () => {
    await publish('lost', 20);
    await on.drained();
    await handledUpTo(await lastSequence());
  });
  await publish('new', 60);
  await on.drained();
  const losses = await waitFor(
    async () => {
      const found = (await streamReports()).flatMap(({ losses }) => losses);
      return found.length > 0 && found;
    },
    { for: 'the loss to be reported', timeoutMs: 120_000 },
  );
  expect(losses).toHaveLength(1);
});

test('an applier that started later reports evidence of the loss to the operator', { timeout: 600_000 }, async () => {
  await publish('kept', 8);
  const readState = async () => {
    const asked = momentOf(systemClock);
    return streamStateOf(await on.manager.streams.info(STREAM), asked, systemClock);
  };
  let known = noteState(undefined, await readState());
  await loseEnd(async () => {
    await publish('lost', 20);
    known = noteState(known, await readState());
  });
  await publish('new', 60);
  onTestFinished(on.start());
  await on.drained();
  const proof = await waitFor(
    async () =>
      (await streamReports())
        .flatMap(({ places }) => places)
        .find(({ sequence, time }) => isRetaken(known, { sequence, time: Date.parse(time) })),
    { for: 'the proof to be reported', timeoutMs: 120_000 },
  );
  expect(proof.sequence).toBeLessThanOrEqual(known.places.at(-1)!.sequence);
});
