/**
 * How `.ci/run` evaluates Vitest's JSON results: `files <results>` prints the test files to repeat, one per line;
 * `count <results> [<results of the second run>]` prints the line with which CI ends.
 */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { z } from 'zod';
import { ROOT } from './import-graph.ts';

const resultsSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })),
    }),
  ),
});
export type Results = z.infer<typeof resultsSchema>;
type TestFile = Results['testResults'][number];

/**
 * More than one cause has failed, or one unrelated to timing: a person has to check that. Far below `bail` of
 * vitest.config.ts, so that a continued run has not left any file out.
 */
const MOST_FILES = 3;
const MOST_TESTS = 6;

const isFailed = ({ status }: { readonly status: string }) => status === 'failed';
/** A file that cannot be loaded has no tests to fail; it counts as one failure. */
const countFailures = ({ status, assertionResults }: TestFile): number =>
  assertionResults.filter(isFailed).length || (status === 'failed' ? 1 : 0);
const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/**
 * Files to repeat, by themselves, because few of their tests have failed; none when all have passed, or when too many
 * failed for chance.
 */
export function selectFilesToRepeat({ testResults }: Results): string[] {
  const failed = testResults.filter((file) => countFailures(file) > 0);
  const files = [...new Set(failed.map(({ name }) => name))];
  const isFew = files.length <= MOST_FILES && sum(failed.map(countFailures)) <= MOST_TESTS;
  return isFew ? files : [];
}

/**
 * The results of both runs in one line, preceded by a line for each test that failed in the first run only. Files of the
 * second run count with its results.
 */
export function describeResults(first: Results, second: Results = { testResults: [] }): string[] {
  const repeated = new Set(second.testResults.map(({ name }) => name));
  const files = [...first.testResults.filter(({ name }) => !repeated.has(name)), ...second.testResults];
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const failed = sum(files.map(countFailures));
  const skipped = tests.length - passed - tests.filter(isFailed).length;
  const flaky = failed > 0 ? [] : listFailures(first);
  const parts = [`${passed} passed`, `${failed} failed`];
  if (skipped > 0) parts.push(`${skipped} skipped`);
  return [...flaky.map((name) => `FLAKY, passed when run again: ${name}`), parts.join(', ')];
}

function listFailures({ testResults }: Results): string[] {
  return testResults
    .filter((file) => countFailures(file) > 0)
    .flatMap(({ name, assertionResults }) => {
      const failed = assertionResults.filter(isFailed).map(({ fullName }) => ` > ${fullName}`);
      return (failed.length > 0 ? failed : ['']).map((test) => `${relative(ROOT, name)}${test}`);
    });
}

const read = (path: string): Results => resultsSchema.parse(JSON.parse(readFileSync(path, 'utf8')));

if (import.meta.main) {
  const [what, first = '', second = ''] = process.argv.slice(2);
  const lines =
    what === 'files'
      ? selectFilesToRepeat(read(first)).map((name) => relative(ROOT, name))
      : describeResults(read(first), existsSync(second) ? read(second) : undefined);
  if (lines.length > 0) console.log(lines.join('\n'));
}
