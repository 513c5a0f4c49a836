import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/setup/sequencer.ts';
import { readTestKinds } from './test/setup/test-kinds.ts';

const { inProcess, withServices } = readTestKinds();
// Of everything generated in this run; see test/setup/seed.ts.
process.env['SEED'] ??= String(Math.floor(Math.random() * 0x7fffffff));
const setupFiles = ['test/setup/seed.ts', 'test/setup/logs.ts', 'test/setup/leaks.ts'];

// A file is in the first project unless something that it imports starts processes or uses services (test/setup/test-kinds.ts).
export default defineConfig({
  test: {
    // Files wait more than they compute. Each worker may hold a cluster, so many cores need much memory.
    maxWorkers: Math.min(6, availableParallelism() + 1),
    sequence: { sequencer: LongestFirst },
    reporters: ['default', 'test/setup/reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'in-process',
          include: [...inProcess],
          // Most of the time of these files goes into loading modules, which a worker needs to do once only.
          isolate: false,
          setupFiles,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'services',
          include: [...withServices],
          // One broker per run starts the shared services (Postgres, NATS, DynamoDB Local, Kubernetes) when a file first asks.
          globalSetup: ['test/cluster/shared-setup.ts'],
          setupFiles,
          // Longer than what a test waits for by itself (test/cluster/wait.ts), whose message says what did not happen.
          testTimeout: 120_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
