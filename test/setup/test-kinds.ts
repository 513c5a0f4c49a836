import { readImportGraph } from './import-graph.ts';

/** Loaded by whatever starts a process, or asks for a service that the run shares. */
const SERVICES = ['node:child_process', 'test/cluster/shared.ts'];

export interface TestKinds {
  /** What `npm run test:quick` runs. */
  readonly inProcess: readonly string[];
  readonly withServices: readonly string[];
}

/** The test files, by whether anything that they import can start a process or use a service; paths from the root. */
export function readTestKinds(): TestKinds {
  const { tests, imports } = readImportGraph();
  const needServices = new Set(tests.filter((file) => SERVICES.some((module) => imports(file).has(module))));
  return { inProcess: tests.filter((file) => !needServices.has(file)), withServices: [...needServices] };
}
