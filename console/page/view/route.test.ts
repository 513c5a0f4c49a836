import { describe, expect, test } from 'vitest';
import { FIRST_QUERY, formatProjectsQuery, formatRoute, parseProjectId, parseRoute, turnOrdering } from './route.ts';

describe('an address', () => {
  test.for([
    '',
    '#',
    '#/',
    '#/nowhere',
    '#/projects/',
    '#/projects/0',
    '#/projects/99999999999',
    '#/?page=-3&page_size=7',
  ])('the address %j shows the first page of all projects', (hash) => {
    expect(parseRoute(hash)).toEqual({ kind: 'projects', query: FIRST_QUERY });
  });

  test('the address of a project names it, and its namespace if there is one', () => {
    expect(parseRoute('#/projects/42')).toEqual({ kind: 'project', projectId: 42, namespace: undefined });
    expect(parseRoute('#/projects/42?namespace=team-a')).toMatchObject({ projectId: 42, namespace: 'team-a' });
  });

  test.for([
    { kind: 'projects', query: FIRST_QUERY },
    {
      kind: 'projects',
      query: { search: 'a&b=c #ü', phase: 'Copying', page: 7, pageSize: 200, ordering: '-deadline' },
    },
    { kind: 'project', projectId: 42, namespace: undefined },
    { kind: 'project', projectId: 2_147_483_647, namespace: 'team-a' },
  ] as const)('is read as it was written: %j', (route) => {
    expect(parseRoute(formatRoute(route))).toEqual(route);
  });
});

test("the API request contains the address's filters, without empty ones", () => {
  expect(formatProjectsQuery(FIRST_QUERY)).toBe('page=1&page_size=50&ordering=project_id');
  expect(formatProjectsQuery({ ...FIRST_QUERY, search: 'a b&c', phase: 'Failed' })).toBe(
    'search=a+b%26c&phase=Failed&page=1&page_size=50&ordering=project_id',
  );
});

test('a project id is any text that a user may have copied, within the limits of Postgres', () => {
  expect(['42', ' #42 ', '2147483647'].map(parseProjectId)).toEqual([42, 42, 2_147_483_647]);
  expect(['', '0', '-1', '4.2', '2147483648', '42x', '٤٢'].map(parseProjectId)).toEqual(Array(7).fill(undefined));
});

test('a column is sorted in one direction, then the other, then not at all', () => {
  const first = turnOrdering('project_id', 'lag_seconds', true);
  const second = turnOrdering(first, 'lag_seconds', true);
  expect([first, second, turnOrdering(second, 'lag_seconds', true)]).toEqual([
    '-lag_seconds',
    'lag_seconds',
    'project_id',
  ]);
});
