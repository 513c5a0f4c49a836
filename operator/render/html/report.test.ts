import type { Status } from '@edge-migration/contract/edge-migration/api.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { migration as build, NOON } from '../../edge-migration/testing/facts.ts';
import { parseSeries } from '../../edge-migration/usage/series.ts';
import type { ReportFacts } from '../report.ts';
import { sumByClient } from '../still-on-core.ts';
import { drawColumns, drawShares } from './charts.ts';
import { html } from './markup.ts';
import { writeHtmlReport } from './report.ts';

/** A report in which all texts from others are this one. */
function facts(text: string): ReportFacts {
  const time = '2026-05-04T10:00:00Z';
  const status: Status = {
    phase: text,
    message: text,
    progress: text,
    conditions: [{ type: text, status: 'True', reason: text, message: text, lastTransitionTime: text }],
    copy: {
      startTime: '2026-05-01T10:00:00Z',
      completionTime: '2026-05-01T11:00:00Z',
      identitiesTotal: 200,
      identitiesCopied: 197,
    },
    skipped: { total: 3, byReason: [{ reason: text, count: 3 }] },
    gaps: [{ from: time, reason: text, podName: text }],
    replay: {
      deadline: '2026-05-29T11:00:00Z',
      lag: text,
      stillOnCore: { state: 'Writing', message: text, writesPerDay: 7, clients: [{ name: text, writesPerDay: 7 }] },
    },
  };
  const rows = [{ environment: 1, client: text, writes: 7, reads: 2 }];
  const days = [{ date: '2026-05-03', known: 'all', writes: 7, reads: 2, rows }];
  return {
    migration: { ...build({ status }), namespace: text },
    now: NOON,
    audit: { name: text, data: { 'audit.txt': text } },
    comparison: { name: text, problem: text },
    stillOnCore: { name: text, data: { 'series.json': JSON.stringify({ version: 1, days }) } },
  };
}

/** Tags with the names of their attributes: the structure that a browser sees, without texts. */
const skeleton = (page: string) =>
  [...page.matchAll(/<(\/?[a-z0-9]+)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*\/?>/gi)].map(([, tag, attributes]) => [
    tag,
    [...attributes!.matchAll(/\s+([a-z-]+)(?:="[^"]*")?/gi)].map(([, name]) => name),
  ]);

describe('a report as HTML', () => {
  test('loads and runs nothing, and forbids both', () => {
    const page = writeHtmlReport(facts('well'));
    expect(page).toContain(`content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;`);
    expect(page).not.toMatch(/<script|<link|<img|<iframe|<object|@import|\bsrc=|\bhref=|\bon[a-z]+=|https?:/i);
    expect(page).toMatch(/prefers-color-scheme:dark/);
    expect(page).toMatch(/@media print/);
  });

  test('has the same elements and attributes for any texts', () => {
    const usual = skeleton(writeHtmlReport(facts('well')));
    expect(usual.length).toBeGreaterThan(100);
    const hostile = fc.oneof(
      fc.constantFrom(
        '"><img src=x onerror=alert(1)>',
        "' onload='alert(1)",
        '</title></style><script>alert(1)</script>',
        '<!--',
        '\u202e</td>\u001b[2J',
        '&lt;script&gt;',
      ),
      fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', '/', '=', '!', '-', 'a', ' ', '`'), minLength: 1 }),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        fc.pre(text.trim() !== '');
        expect(skeleton(writeHtmlReport(facts(text)))).toEqual(usual);
      }),
      { numRuns: 200 },
    );
  });

  test('shows texts unchanged, except characters that control a terminal or the direction of text', () => {
    expect(html`<p title="${'"a" & <b>'}">${'it\u202e\u001bs'}</p>`.text).toBe(
      '<p title="&quot;a&quot; &amp; &lt;b&gt;">it\ufffd\ufffds</p>',
    );
  });

  test('names the parts that could not be read', () => {
    const page = writeHtmlReport({
      ...facts('well'),
      comparison: { name: 'project-42-report', problem: 'get configmaps: Forbidden (403)' },
    });
    expect(page).toContain('This report is not complete');
    expect(page).toContain('ConfigMap project-42-report: get configmaps: Forbidden (403)');
  });

  test('has no empty sections for a migration without a status', () => {
    const page = writeHtmlReport({ migration: build(), now: NOON, audit: undefined, comparison: undefined });
    expect(page).toContain('Migration of project 42');
    expect(page).not.toContain('<h2>');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('charts', () => {
  test('a bar shows every part with its number, except those that are zero', () => {
    const chart = drawShares('What became of them', [
      { label: 'copied', count: 999_999, tone: 'good' },
      { label: 'skipped', count: 1, tone: 'bad' },
      { label: 'conflicting', count: 0, tone: 'warn' },
    ])!.text;
    expect(chart).toContain('aria-label="What became of them: copied 999,999, skipped 1"');
    // The smallest part is visible, and a share just below 100% is not shown as 100%.
    expect(chart).toContain('width="1.5"');
    expect(chart).toContain('more than 99.9%');
    expect(drawShares('Nothing', [])).toBeUndefined();
  });

  const day = (date: string, known: string, writes: number, counts: Record<string, number>) => ({
    date,
    known,
    writes,
    reads: 0,
    rows: Object.entries(counts).map(([client, count]) => ({ environment: 1, client, writes: count, reads: 0 })),
  });
  const read = (days: object[]) => parseSeries(JSON.stringify({ version: 1, days }))!;

  test('an uncounted day is a gap, and a partly counted one is shown as a minimum', () => {
    const series = read([day('2026-05-01', 'all', 9, { a: 9 }), day('2026-05-03', 'part', 5, { a: 5 })]);
    const daily = sumByClient(series, 'writes');
    expect(daily.days).toEqual([
      { date: '2026-05-01', parts: [9], isLowerBound: false },
      { date: '2026-05-02', parts: undefined, isLowerBound: false },
      { date: '2026-05-03', parts: [5], isLowerBound: true },
    ]);
    const chart = drawColumns('Writes', daily)!.text;
    expect(chart).toContain('2026-05-02: not counted');
    expect(chart).toContain('2026-05-03: a at least 5');
  });

  test('the clients with the most requests are named, and others are combined as the rest of the day', () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`sdk-${index}`, 100 - index]));
    const sum = Object.values(many).reduce((total, count) => total + count, 0);
    const { names, days } = sumByClient(read([day('2026-05-01', 'all', sum + 40, many)]), 'writes');
    expect(names).toEqual(['sdk-0', 'sdk-1', 'sdk-2', 'sdk-3', 'sdk-4', 'others']);
    expect(days[0]?.parts?.reduce((total, count) => total + count, 0)).toBe(sum + 40);
  });

  test('a series of another release, or a damaged one, is ignored', () => {
    expect(parseSeries(JSON.stringify({ version: 2, days: [] }))).toBeUndefined();
    expect(parseSeries('{')).toBeUndefined();
    expect(parseSeries(undefined)).toBeUndefined();
  });
});
