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

test('a pod deleted without a last report is a gap from its start to its end', () => {
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

test('a pod that has ended but is still listed is a gap from its end on, and once', async () => {
  const { clock, notice, findUnheard } = departures();
  notice({ type: 'updated', key: 'flagsmith/api-1', object: ended, previous: running });
  const [first] = findUnheard([]);
  await clock.advance(60_000);
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: ended });
  expect(findUnheard([]).map(({ gaps }) => gaps)).toEqual([first?.gaps]);
});

test('a gap that cannot be reported yet is reported later, until it is in the stream', () => {
  const { notice, findUnheard, forget } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: running });
  expect(findUnheard([])).toHaveLength(1);
  expect(findUnheard([])).toHaveLength(1);
  forget('uid-1');
  expect(findUnheard([])).toEqual([]);
});

test('a pod whose sidecar ever reported leaves no gap of its own', () => {
  const { notice, findUnheard } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-1', previous: running });
  const report = { report: { podUid: 'uid-1' } } as StoredReport;
  expect(findUnheard([report])).toEqual([]);
  expect(findUnheard([])).toEqual([]);
});

test('neither a pod that never ran nor a running pod has departed', () => {
  const { notice, findUnheard } = departures();
  notice({ type: 'deleted', key: 'flagsmith/api-2', previous: ended });
  notice({ type: 'updated', key: 'flagsmith/api-1', object: { ...running, ready: false }, previous: running });
  notice({ type: 'added', key: 'flagsmith/api-1', object: running });
  expect(findUnheard([])).toEqual([]);
});
