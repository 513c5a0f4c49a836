import { expect, test } from 'vitest';
import { createReport } from './report.ts';

test('a report has one JSON object per line', () => {
  const report = createReport(1000, '', 0);
  report.add({ identityId: 1 });
  report.add({ identityId: 2 });
  expect(report.text()).toBe('{"identityId":1}\n{"identityId":2}\n');
  expect(report).toMatchObject({ lines: 2, truncated: false });
});

test('a report never exceeds its limit in bytes, and marks omitted lines', () => {
  const report = createReport(25, '', 0);
  report.add({ a: 'ääääääää' });
  expect(report).toMatchObject({ lines: 1, truncated: false });
  report.add({});
  expect(report).toMatchObject({ lines: 1, truncated: true });
  expect(Buffer.byteLength(report.text())).toBeLessThanOrEqual(25);
});

test('a resumed report drops the lines of a page that will be repeated', () => {
  const report = createReport(1000, '{"a":1}\n{"a":2}\n{"a":3}\n', 2);
  report.add({ a: 4 });
  expect(report.text()).toBe('{"a":1}\n{"a":2}\n{"a":4}\n');
});
