import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';
import { ROOT } from './import-graph.ts';
import { logsOf, SHARED_LOGS } from './test-logs.ts';

const SLOWEST = 20;
/** Exists after a run in which something failed outside a test: such a run is not repeated (.ci/run). */
const UNHANDLED = join(ROOT, '.cache/unhandled-errors');

/** Prints at the end of a run what a failure needs: the path of the logs, and the seed; on CI the slowest tests. */
export default class EndOfRun implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    for (const module of modules.filter((each) => each.ok())) {
      rmSync(logsOfModule(module), { recursive: true, force: true });
    }
    rmSync(UNHANDLED, { force: true });
    if (errors.length > 0) writeFileSync(UNHANDLED, `${errors.length}\n`);
    const failed = modules.filter((module) => !module.ok());
    if (failed.length + errors.length > 0) print(describeFailures(failed));
    if (process.env['CI']) print(describeSlowest(modules));
  }
}

function describeFailures(modules: readonly TestModule[]): string[] {
  const folders = [...modules.map(logsOfModule), SHARED_LOGS].filter(existsSync);
  return [
    ...folders.map((folder) => `Logs: ${relative(ROOT, folder)}`),
    `Seed of generated inputs: ${process.env['SEED']} (SEED=${process.env['SEED']} npx vitest run <file> gives the same again)`,
  ];
}

function logsOfModule({ moduleId, project }: TestModule): string {
  // Undefined where a project sets none, whatever its type says.
  const { env = {} } = project.config;
  return logsOf(moduleId, env['TEST_VARIANT']);
}

function describeSlowest(modules: readonly TestModule[]): string[] {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const slowest = tests.sort((one, other) => durationOf(other) - durationOf(one)).slice(0, SLOWEST);
  return [`The slowest ${slowest.length} of ${tests.length} tests:`, ...slowest.map(describeTest)];
}

const durationOf = (test: TestCase) => test.diagnostic()?.duration ?? 0;

const describeTest = (test: TestCase) =>
  `${(durationOf(test) / 1000).toFixed(1).padStart(7)} s  ${relative(ROOT, test.module.moduleId)} > ${test.fullName}`;

const print = (lines: readonly string[]) => process.stdout.write(`\n${lines.join('\n')}\n`);
