import { expect, test } from 'vitest';
import { definitionOf } from './work-definition.ts';

test('a plan writes nothing, a copy and a comparison may', () => {
  const writing = (['plan', 'copy', 'verify-1'] as const).filter((operation) => definitionOf(operation).mayWrite);
  expect(writing).toEqual(['copy', 'verify-1']);
});

test('no further attempt of a plan or a copy begins for ranges that are done', () => {
  const { isDone } = definitionOf('copy');
  const saved = { updatedTime: '2026-06-01T00:00:00Z', instance: 'pod-1', identitiesPerSecond: 0 };
  const checkpoint = { rangeId: 0, finished: true, ...saved, positions: [] };
  expect(isDone?.(JSON.stringify(checkpoint))).toBe(true);
  expect(isDone?.(JSON.stringify({ ...checkpoint, finished: false }))).toBe(false);
  expect(isDone?.('')).toBe(false);
  expect(definitionOf('plan').isDone).toBe(isDone);
});
