import { expect, test } from 'vitest';
import { selectTests } from './changed.ts';
import { readImportGraph } from './import-graph.ts';
import { readTestKinds } from './test-kinds.ts';

const graph = readImportGraph();

test('each test file is of exactly one kind', () => {
  const { inProcess, models, withServices } = readTestKinds();
  expect([...inProcess, ...models, ...withServices].sort()).toEqual(graph.tests);
});

test('a test that starts a process, or uses a service that the run shares, is not a quick test', () => {
  const { inProcess, withServices } = readTestKinds();
  expect(withServices).toContain('test/e2e/copy.test.ts');
  expect(withServices).toContain('identity/converge.test.ts');
  expect(withServices).toContain('test/setup/leaks.test.ts');
  expect(inProcess).toContain('runtime/backoff.test.ts');
});

test('a changed module selects the tests that import it, over any number of steps', () => {
  const selected = selectTests(['runtime/backoff.ts'], graph);
  expect(selected).toContain('runtime/backoff.test.ts');
  expect(selected.length).toBeGreaterThan(1);
  expect(selected.length).toBeLessThan(graph.tests.length);
});

test('a changed module of a program selects the tests that start the program', () => {
  const selected = selectTests(['operator/edge-migration/decide.ts'], graph);
  expect(selected).toEqual(expect.arrayContaining(['operator/edge-migration/decide.test.ts', 'test/e2e/copy.test.ts']));
});

test.each([
  ['crds/edgemigrations.edge.flagsmith.com.yaml', 'test/integration/crd.test.ts'],
  ['test/core/schema.sql', 'identity/converge.test.ts'],
  ['charts/edge-migration/templates/_helpers.tpl', 'test/chart/chart.test.ts'],
  ['operator/deploy/operator.yaml', 'test/e2e/operator-crash.test.ts'],
])('a change of %s selects the test %s, which reads it', (file, test) => {
  expect(selectTests([file], graph)).toContain(test);
});

test('a changed test file selects itself, and otherwise only tests that read its whole folder', () => {
  const file = graph.tests.find((each) => each.startsWith('replay-sidecar/')) ?? '';
  const selected = selectTests([file], graph);
  expect(selected).toContain(file);
  expect(selected.length).toBeLessThan(4);
});

test('a file that no test reads selects none, and the configuration selects all', () => {
  expect(selectTests(['LICENSE'], graph)).toEqual([]);
  expect(selectTests(['vitest.config.ts'], graph)).toEqual(graph.tests);
});
