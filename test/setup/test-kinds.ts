import { readImportGraph } from './import-graph.ts';

/** Loaded by everything that starts a process, or uses a service that the run shares. */
const SERVICES = ['node:child_process', 'test/cluster/shared.ts'];

/** Explorations of every order of steps: half of the time that all tests without services take together. */
const MODEL = /-model(?:-\w+)*\.test\.ts$/;

export interface TestKinds {
  /** The tests of `npm run test:quick`. */
  readonly inProcess: readonly string[];
  /** The explorations of the models, which need no services either. */
  readonly models: readonly string[];
  readonly withServices: readonly string[];
}

/** The test files, by whether any of their imports can start a process or use a service; paths from the root. */
export function readTestKinds(): TestKinds {
  const { tests, imports } = readImportGraph();
  const needServices = new Set(tests.filter((file) => SERVICES.some((module) => imports(file).has(module))));
  const others = tests.filter((file) => !needServices.has(file));
  return {
    inProcess: others.filter((file) => !MODEL.test(file)),
    models: others.filter((file) => MODEL.test(file)),
    withServices: [...needServices],
  };
}
