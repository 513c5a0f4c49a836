import { describe, expect, test } from 'vitest';
import { listPage } from './listing.ts';
import { listQuerySchema, type ProjectSummary } from './schemas.ts';

const summary = (projectId: number, fields: Partial<ProjectSummary> = {}) =>
  ({
    project_id: projectId,
    namespace: 'flagsmith',
    name: `project-${projectId}`,
    project_name: null,
    phase: 'Copying',
    message: null,
    outcome: null,
    lag_seconds: null,
    ...fields,
  }) as ProjectSummary;

const fleet = [
  summary(10, { project_name: 'Acme Web', lag_seconds: 3 }),
  summary(9, { phase: 'Failed', outcome: 'failed', message: 'Acme is gone' }),
  summary(2, { namespace: 'other', lag_seconds: 40 }),
];
const list = (query: object = {}) => listPage(fleet, listQuerySchema.parse(query));
const idsOf = (query: object) => list(query).results.map(({ project_id: id }) => id);

describe('a page', () => {
  test('a page of projects is sorted by number, not by text', () => {
    expect(idsOf({})).toEqual([2, 9, 10]);
    expect(idsOf({ ordering: '-project_id' })).toEqual([10, 9, 2]);
  });

  test('a page of projects puts unknown values last in either direction', () => {
    expect(idsOf({ ordering: 'lag_seconds' })).toEqual([10, 2, 9]);
    expect(idsOf({ ordering: '-lag_seconds' })).toEqual([2, 10, 9]);
  });

  test('a search finds projects that have every word, in any of their texts and in any case', () => {
    expect(idsOf({ search: 'acme' })).toEqual([9, 10]);
    expect(idsOf({ search: 'ACME gone' })).toEqual([9]);
    expect(idsOf({ search: 'acme elsewhere' })).toEqual([]);
  });

  test('phase counts cover all matching projects, including those of phases not asked for', () => {
    expect(list({ phase: 'Failed', page_size: '1' })).toMatchObject({ count: 1, phases: { Copying: 2, Failed: 1 } });
    expect(list({ outcome: 'none' })).toMatchObject({ count: 2, phases: { Copying: 2 } });
    expect(listPage([summary(1, { phase: '__proto__' })], listQuerySchema.parse({})).count).toBe(1);
  });

  test('a page after the last is empty', () => {
    expect(list({ page: '7', page_size: '2' })).toMatchObject({ count: 3, results: [] });
  });
});

test.each([
  [{ page: '0' }],
  [{ page_size: '201' }],
  [{ page_size: '1e9' }],
  [{ ordering: 'constructor' }],
  [{ namespace: '../etc' }],
  [{ search: 'x'.repeat(201) }],
  [{ other: '1' }],
])('a listing query of %j is refused', (query) => {
  expect(listQuerySchema.safeParse(query).success).toBe(false);
});
