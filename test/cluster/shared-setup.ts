import { rmSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { SHARED_LOGS } from '../setup/test-logs.ts';
import { chooseProvider } from './provider.ts';
import { type BrokerOptions, startBroker } from './shared-broker.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The address at which test files ask for shared services. */
    sharedServices: string;
  }
}

/** Vitest's global set-up: decides where services run, and starts the run's broker; returns the teardown. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setUp(project, {});
}

export async function setUp(project: TestProject, options: BrokerOptions): Promise<() => Promise<void>> {
  process.env['TEST_LOGS'] = SHARED_LOGS;
  rmSync(SHARED_LOGS, { recursive: true, force: true });
  await chooseProvider();
  const broker = await startBroker(options);
  project.provide('sharedServices', broker.url);
  return () => broker.stop();
}
