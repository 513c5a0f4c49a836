import type { TestProject } from 'vitest/node';
import { chooseProvider } from './provider.ts';
import { startBroker } from './shared-broker.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the test files ask for shared services. */
    sharedServices: string;
  }
}

/** Vitest's global set-up: where services run, and one broker of shared services per run; returns the teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await chooseProvider();
  const broker = await startBroker();
  project.provide('sharedServices', broker.url);
  return () => broker.stop();
}
