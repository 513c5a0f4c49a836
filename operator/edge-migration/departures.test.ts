import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import type { CoreApiPod, StoredReport } from '../coverage/decide.ts';
import { createDepartures } from './departures.ts';

const STARTED = '2026-01-01T00:00:00.000Z';
const running: CoreApiPod = { uid: 'uid-1', name: 'api-1', ready: true, runningTime: STARTED };
const ended: CoreApiPod = { uid: 'uid-1', name: 'api-1', ready: false };

function departures() {
  const clock = createFakeClock(Date.parse(STARTED) + 60_000);
  return { clock, ...createDepartures(clock, 'flagsmith') };
}

test('a pod that ran and was deleted without a word is a gap from its start to its end', () => {
  const { notice, findUnheard } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: running });
  const [report] = findUnheard([]);
  const until = '2026-01-01T00:01:00.000Z';
  expect(report).toMatchObject({
    podUid: 'uid-1',
    podName: 'api-1',
    goodbye: true,
    gaps: [{ from: STARTED, until, reason: 'noSidecar', scope: null }],
  });
});

test('so is one that has ended and is still listed, from then on, and once', async () => {
  const { clock, notice, findUnheard } = departures();
  notice({ type: 'updated', key: 'flagsmith/api-1', object: ended, previous: running });
  const [first] = findUnheard([]);
  await clock.advance(60_000);
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: ended });
  expect(findUnheard([]).map(({ gaps }) => gaps)).toEqual([first?.gaps]);
});

test('what cannot be said yet is said later, until it is in the stream', () => {
  const { notice, findUnheard, forget } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: running });
  expect(findUnheard([])).toHaveLength(1);
  expect(findUnheard([])).toHaveLength(1);
  forget('uid-1');
  expect(findUnheard([])).toEqual([]);
});

test('a pod whose sidecar ever reported speaks for itself', () => {
  const { notice, findUnheard } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: running });
  const report = { report: { podUid: 'uid-1' } } as StoredReport;
  expect(findUnheard([report])).toEqual([]);
  expect(findUnheard([])).toEqual([]);
});

test('neither a pod that never ran nor one that runs on has departed', () => {
  const { notice, findUnheard } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-2', previous: ended });
  notice({ type: 'updated', key: 'flagsmith/api-1', object: { ...running, ready: false }, previous: running });
  notice({ type: 'added', key: 'flagsmith/api-1', object: running });
  expect(findUnheard([])).toEqual([]);
});
