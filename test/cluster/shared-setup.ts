import type { TestProject } from 'vitest/node';
import { startBroker } from './shared-broker.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the test files ask for shared services. */
    sharedServices: string;
  }
}

/** Vitest's global set-up: one broker of shared services per run; returns the teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const broker = await startBroker();
  project.provide('sharedServices', broker.url);
  return () => broker.stop();
}
