import { gzipSync } from 'node:zlib';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { reportSubject } from '../streams/applier.ts';
import { type ApplierReport, decodeReport, encodeReport } from './applier.ts';

const TIME = '2026-01-01T00:00:00.000Z';

function report(changes: Partial<ApplierReport> = {}): ApplierReport {
  return {
    version: 1,
    process: 'applier-0-12345678',
    instance: 'applier-0',
    startedTime: TIME,
    time: TIME,
    goodbye: false,
    confirmed: true,
    outage: null,
    foreign: 0,
    projects: [],
    ...changes,
  };
}

const project = (projectId: number): ApplierReport['projects'][number] => ({
  projectId,
  applied: { inserted: 123_456, updated: 123_456, unchanged: 0 },
  dropped: { windowClosed: 0 },
  parked: {},
  failed: 0,
  inHand: 12,
  oldestObservedTime: TIME,
  lastAppliedTime: TIME,
});

/** As stored in the stream. */
function message(payload: string | Uint8Array, process = report().process, encoding?: 'gzip') {
  const header = headers();
  if (encoding !== undefined) header.set('Content-Encoding', encoding);
  return { subject: reportSubject(process), data: new Uint8Array(Buffer.from(payload)), header };
}

function encoded(one: ApplierReport) {
  const { payload, headers: header } = encodeReport(one);
  return { ...message(payload, one.process), header };
}

test('a report of ten thousand projects is read as it was written, except for counts of zero', () => {
  const projects = Array.from({ length: 10_000 }, (_, index) => project(index + 1));
  const sent = encoded(report({ projects }));
  expect(sent.data.length).toBeLessThan(1024 ** 2);
  const read = decodeReport(sent);
  expect(read?.projects).toHaveLength(10_000);
  expect(read?.projects[9]).toEqual({
    ...project(10),
    applied: { inserted: 123_456, updated: 123_456 },
    dropped: {},
  });
});

describe('refused reports', () => {
  test.each(['{},', '[],', '0,'])('a gzip of many %s is refused before it fills the memory', (element) => {
    const bomb = `[${element.repeat(20_000_000)}0]`;
    const sent = message(gzipSync(bomb), report().process, 'gzip');
    expect(sent.data.length).toBeLessThan(100_000);
    const before = process.memoryUsage().rss;
    expect(decodeReport(sent)).toBeUndefined();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 ** 2);
  });

  test('a message of many concatenated gzips that expand to more than a gigabyte is refused', () => {
    const member = gzipSync(Buffer.alloc(32 * 1024 ** 2, ' '));
    const sent = message(Buffer.concat(Array(32).fill(member)), report().process, 'gzip');
    const before = process.memoryUsage().rss;
    expect(decodeReport(sent)).toBeUndefined();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 ** 2);
  });

  test('a report on the subject of another process, whose counters it would replace, is refused', () => {
    expect(decodeReport(message(JSON.stringify(report()), 'applier-1-87654321'))).toBeUndefined();
    expect(decodeReport(message(JSON.stringify(report())))).toEqual(report());
  });

  test.each<[string, object]>([
    ['a project id beyond int4', { projects: [{ ...project(1), projectId: 2 ** 31 }] }],
    ['a count that is not a whole number', { foreign: 0.5 }],
    ['a reason that is too long', { projects: [{ ...project(1), applied: { ['x'.repeat(33)]: 1 } }] }],
    [
      'more reasons than exist',
      {
        projects: [{ ...project(1), parked: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`r${i}`, 1])) }],
      },
    ],
    ['an outage longer than a status takes', { outage: 'x'.repeat(501) }],
    ['a malformed time', { time: 'now' }],
  ])('a report with %s is refused', (_, changes) => {
    expect(decodeReport(message(JSON.stringify({ ...report(), ...changes })))).toBeUndefined();
  });
});

test('a report that no reader would accept is not sent', () => {
  const projects = Array.from({ length: 30_000 }, (_, index) => project(index + 1));
  expect(() => encodeReport(report({ projects }))).toThrow(RangeError);
});
