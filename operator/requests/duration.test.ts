import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

test.each([
  ['7d', 604_800],
  ['1d12h', 129_600],
  ['90m', 5400],
  ['2w', 1_209_600],
])('%s is a valid duration', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(['', '7', '7 d', '-1d', '1.5h', '7days', 'd'])('"%s" is not a valid duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [0, '0s'],
  [59, '59s'],
  [125, '2m5s'],
  [3600, '1h'],
  [3605, '1h'],
  [273_600, '3d4h'],
  [-5, '0s'],
])('a duration of %i seconds is shown as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});
