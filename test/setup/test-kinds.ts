import { readImportGraph } from './import-graph.ts';

/** Loaded by everything that starts a process, or uses a service that the run shares. */
const SERVICES = ['node:child_process', 'test/cluster/shared.ts'];

export interface TestKinds {
  /** The tests of `npm run test:quick`. */
  readonly inProcess: readonly string[];
  readonly withServices: readonly string[];
}

/** The test files, by whether any of their imports can start a process or use a service; paths from the root. */
export function readTestKinds(): TestKinds {
  const { tests, imports } = readImportGraph();
  const needServices = new Set(tests.filter((file) => SERVICES.some((module) => imports(file).has(module))));
  return { inProcess: tests.filter((file) => !needServices.has(file)), withServices: [...needServices] };
}
