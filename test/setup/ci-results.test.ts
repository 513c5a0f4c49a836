import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeResults, type Results, selectFilesToRepeat } from './ci-results.ts';
import { ROOT } from './import-graph.ts';

const file = (name: string, ...statuses: string[]): Results['testResults'][number] => ({
  name: join(ROOT, name),
  status: statuses.includes('failed') || statuses.length === 0 ? 'failed' : 'passed',
  assertionResults: statuses.map((status, index) => ({ status, fullName: `test ${index}` })),
});
const results = (...testResults: Results['testResults']): Results => ({ testResults });

test('a run in which all tests pass repeats no file', () => {
  const all = results(file('a.test.ts', 'passed', 'passed'), file('b.test.ts', 'passed'));
  expect(selectFilesToRepeat(all)).toEqual([]);
  expect(describeResults(all)).toEqual(['3 passed, 0 failed']);
});

test('a file with one failed test is repeated, and each test counts with the result of the second run', () => {
  const first = results(file('a.test.ts', 'passed', 'failed'), file('b.test.ts', 'passed'));
  expect(selectFilesToRepeat(first)).toEqual([join(ROOT, 'a.test.ts')]);
  expect(describeResults(first, results(file('a.test.ts', 'passed', 'passed')))).toEqual([
    'FLAKY, passed when run again: a.test.ts > test 1',
    '3 passed, 0 failed',
  ]);
});

test('a test that fails twice is a failure, and is not called flaky', () => {
  const first = results(file('a.test.ts', 'passed', 'failed'), file('b.test.ts', 'passed'));
  expect(describeResults(first, results(file('a.test.ts', 'passed', 'failed')))).toEqual(['2 passed, 1 failed']);
});

test('a file that cannot be loaded counts as one failure, and so does a second run that did not happen', () => {
  const first = results(file('a.test.ts'), file('b.test.ts', 'passed', 'skipped'));
  expect(describeResults(first)).toEqual(['1 passed, 1 failed, 1 skipped']);
});

test('a file that runs in two projects is repeated in both', () => {
  const first = results(file('a.test.ts', 'passed'), file('a.test.ts', 'failed'));
  expect(selectFilesToRepeat(first)).toHaveLength(1);
  const second = results(file('a.test.ts', 'passed'), file('a.test.ts', 'passed'));
  expect(describeResults(first, second).at(-1)).toBe('2 passed, 0 failed');
});

test('many failures are not repeated, because they have a cause that a person has to find', () => {
  const inOneFile = results(file('a.test.ts', ...Array<string>(7).fill('failed')));
  const inManyFiles = results(...['a', 'b', 'c', 'd'].map((name) => file(`${name}.test.ts`, 'failed')));
  expect(selectFilesToRepeat(inOneFile)).toEqual([]);
  expect(selectFilesToRepeat(inManyFiles)).toEqual([]);
});
