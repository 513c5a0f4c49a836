import { expect, test } from 'vitest';
import { formatCompact, formatCount, formatDecimalBytes, formatLag, formatShare, formatSpan } from './format.ts';

test('counts have separators, and a short form for axes', () => {
  expect([0, 999, 1_234_567].map(formatCount)).toEqual(['0', '999', '1,234,567']);
  expect([0, 950, 12_345, 1_234_567].map(formatCompact)).toEqual(['0', '950', '12.3K', '1.2M']);
});

test('sizes use the largest unit that leaves a whole number before the point', () => {
  expect([0, 999, 1000, 1_500_000, 2.5e12, 1e16].map(formatDecimalBytes)).toEqual([
    '0 byte',
    '999 byte',
    '1 kB',
    '1.5 MB',
    '2.5 TB',
    '10,000 TB',
  ]);
});

test('a duration shows its two largest units, and a short lag its tenths', () => {
  expect([0, 59, 3661, 90_000, 2_419_200].map(formatSpan)).toEqual(['0s', '59s', '1h 1m', '1d 1h', '28d']);
  expect([0, 0.42, 9.96, 75].map(formatLag)).toEqual(['0s', '0.4s', '10s', '1m 15s']);
});

test('a share says 100% only when all is done, and never 0% once it has begun', () => {
  expect([0, 0.001, 0.42, 0.9999, 1].map(formatShare)).toEqual(['0%', '<1%', '42%', '99%', '100%']);
});
