import { createLogger } from '@edge-migration/runtime/logger.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventRecorder, type ObservedEvent } from './event-recorder.ts';
import { useFake } from './testing/fake.ts';
import { events, widget } from './testing/resources.ts';
import { until } from './testing/until.ts';

const fake = useFake([events]);
let recorder: EventRecorder;
let stop: AbortController;
let running: Promise<void>;

const subject = widget('first');
subject.metadata.uid = 'uid-1';
const started: ObservedEvent = {
  type: 'Normal',
  reason: 'Started',
  action: 'Copy',
  note: 'It begins',
  regarding: subject,
};
const any = () => true;
const sent = () => fake.server.store.all(events);

beforeEach(() => {
  recorder = new EventRecorder({
    client: fake.client,
    clock: fake.clock,
    registry: fake.registry,
    logger: createLogger('test', 'silent'),
    reportingController: 'example.com/operator',
    reportingInstance: 'operator-1',
  });
  stop = new AbortController();
  running = recorder.run(stop.signal);
});

afterEach(async () => {
  stop.abort(new Error('test over'));
  await running;
});

/** Until nothing is on its way any more. */
async function idle() {
  await until(() => fake.clock.pending().every((left) => left !== 30_000));
}

describe('the event recorder', () => {
  it('the event recorder names events so that they sort by time, even within the same moment', async () => {
    const reasons = ['Accepted', 'Planning', 'Copying', 'Settling', 'Complete'];
    for (const reason of reasons) recorder.record({ ...started, reason });
    await until(() => sent().length === reasons.length);
    const byName = sent().toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    expect(byName.map((event) => event['reason'])).toEqual(reasons);
  });

  it('the event recorder writes who did what to which object and why', async () => {
    recorder.record({ ...started, related: widget('other') });
    await until(() => sent().length === 1);
    expect(sent()[0]).toMatchObject({
      metadata: { namespace: 'default', name: expect.stringMatching(/^first\.[0-9a-f]{16}$/) },
      eventTime: '2026-01-01T00:00:00.000000Z',
      type: 'Normal',
      reason: 'Started',
      action: 'Copy',
      note: 'It begins',
      reportingController: 'example.com/operator',
      reportingInstance: 'operator-1',
      regarding: { apiVersion: 'example.com/v1', kind: 'Widget', namespace: 'default', name: 'first', uid: 'uid-1' },
      related: { name: 'other' },
    });
    expect(sent()[0]).not.toHaveProperty('series');
  });

  it('the event recorder counts a repeated event instead of writing another, whatever its note', async () => {
    recorder.record(started);
    await until(() => sent().length === 1);
    await idle();
    for (let i = 0; i < 9; i++) recorder.record({ ...started, note: `again ${i}` });
    await fake.clock.advance(60_000);
    await until(() => sent()[0]?.['series'] !== undefined);
    expect(sent()).toHaveLength(1);
    expect(sent()[0]).toMatchObject({
      note: 'It begins',
      series: { count: 10, lastObservedTime: '2026-01-01T00:00:00.000000Z' },
    });
    expect(fake.server.requests).toHaveLength(2);
  });

  it('the event recorder writes another event when the last one is six minutes old', async () => {
    recorder.record(started);
    await until(() => sent().length === 1);
    await idle();
    await fake.clock.advance(360_000);
    recorder.record(started);
    await until(() => sent().length === 2);
  });

  it.each(['type', 'reason', 'action', 'regarding'] as const)('another %s makes it another event', async (field) => {
    const other = { type: 'Warning' as const, reason: 'Other', action: 'Other', regarding: widget('second') };
    recorder.record(started);
    recorder.record({ ...started, [field]: other[field] });
    await until(() => sent().length === 2);
  });

  it('the event recorder shortens a note to 1 kB of whole characters', async () => {
    recorder.record({ ...started, note: 'é€😀'.repeat(300) });
    await until(() => sent().length === 1);
    const note = String(sent()[0]?.['note']);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
    expect(Buffer.byteLength(note)).toBeGreaterThan(1015);
    expect(note).toMatch(/^(é€😀)+(é|é€)?…$/u);
  });

  it('the event recorder does not let one object flood the cluster', async () => {
    for (let i = 0; i < 100; i++) recorder.record({ ...started, reason: `Reason${i}` });
    recorder.record({ ...started, regarding: widget('second') });
    await until(() => sent().length === 26);
    expect(await fake.registry.metrics()).toContain('event_recorder_events_total{result="dropped"} 75');
  });
});

describe('when the API server fails', () => {
  it('the event recorder retries after a failure, and writes the event once', async () => {
    fake.server.fail(any, { status: 500 });
    fake.server.fail(any, 'lost');
    recorder.record(started);
    for (const delay of [500, 1_000]) {
      await until(() => fake.clock.pending().includes(delay));
      await fake.clock.advance(delay);
    }
    await until(async () => (await fake.registry.metrics()).includes('event_recorder_events_total{result="sent"} 1'));
    expect(sent()).toHaveLength(1);
  });

  it('the event recorder drops an event after five attempts and continues with the next', async () => {
    fake.server.fail(({ name }) => name?.startsWith('first') === true, { status: 500 }, 99);
    recorder.record(started);
    recorder.record({ ...started, regarding: widget('second') });
    for (const delay of [500, 1_000, 2_000, 4_000]) {
      await until(() => fake.clock.pending().includes(delay));
      await fake.clock.advance(delay);
    }
    await until(async () => (await fake.registry.metrics()).includes('event_recorder_events_total{result="failed"} 1'));
    expect(sent()).toHaveLength(1);
  });

  it.each([403, 404, 422])('the event recorder drops an event at once on %i', async (status) => {
    fake.server.fail(any, { status });
    recorder.record(started);
    await until(async () => (await fake.registry.metrics()).includes('event_recorder_events_total{result="failed"} 1'));
    expect(fake.server.requests).toHaveLength(1);
  });
});

describe('when it stops', () => {
  it('the event recorder sends the remaining events when it stops', async () => {
    recorder.record(started);
    await until(() => sent().length === 1);
    await idle();
    recorder.record(started);
    recorder.record({ ...started, reason: 'Stopping' });
    stop.abort(new Error('shutting down'));
    await running;
    expect(sent()).toHaveLength(2);
    expect(sent()[0]).toMatchObject({ series: { count: 2 } });
  });

  it('the event recorder waits for an unreachable API server for at most five seconds when it stops', async () => {
    fake.server.fail(any, 'hang', 99);
    recorder.record(started);
    recorder.record({ ...started, reason: 'Stopping' });
    await until(() => fake.server.requests.length === 1);
    stop.abort(new Error('shutting down'));
    await fake.clock.advance(5_000);
    await running;
  });
});
