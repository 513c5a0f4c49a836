import { availableParallelism, totalmem } from 'node:os';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/setup/sequencer.ts';
import { readTestKinds } from './test/setup/test-kinds.ts';

const { inProcess, models, withServices } = readTestKinds();
// Of everything generated in this run; see test/setup/seed.ts.
process.env['SEED'] ??= String(Math.floor(Math.random() * 0x7fffffff));
const setupFiles = ['test/setup/seed.ts', 'test/setup/logs.ts', 'test/setup/leaks.ts'];

/** Bytes that a test file takes with a cluster of its own, the product and a Core API. */
const MEMORY_OF_WORKER = 2.5 * 1024 ** 3;
/** In a container of limited memory, that limit. */
const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

/**
 * Files that use services wait as long as they compute, so there are half as many workers more than cores, if there is
 * memory for them. With more, operators on two cores lose their leases, and start again, which takes more of what is short.
 */
const MAX_WORKERS = Math.max(
  2,
  Math.min(8, Math.ceil(1.5 * availableParallelism()), Math.floor(memory / MEMORY_OF_WORKER)),
);

/**
 * Only against hanging, and longer than what a test waits for by itself (test/cluster/wait.ts), whose message says what
 * did not happen: on a busy machine each process may stand still for many seconds, several times in a test.
 */
const LIMIT_MS = 300_000;

const ON_STRONG_TABLES = [
  'identity/converge.test.ts',
  'identity/converge-{conflict,contention,keys,unstorable}.test.ts',
  'identity/shared-stores.test.ts',
  'operator/copy/worker/copy-range.test.ts',
  'operator/copy/worker/conflicts.test.ts',
  'operator/verify/worker/verify-{range,progress}.test.ts',
  'test/integration/applier.test.ts',
];

// A file is in the first project unless something that it imports starts processes or uses services (test/setup/test-kinds.ts).
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    expect: { poll: { timeout: 120_000 } },
    reporters: ['default', './test/setup/reporter.ts'],
    // One cause that makes hundreds of tests wait in vain must not keep CI for hours.
    bail: process.env['CI'] === undefined ? 0 : 25,
    projects: [
      ...[
        { name: 'in-process', include: [...inProcess] },
        { name: 'models', include: [...models] },
      ].map((project) => ({
        extends: true as const,
        test: {
          ...project,
          // Most of the time of these files goes into loading modules, which a worker needs to do once only.
          isolate: false,
          // They compute all the time; and what fails here is known before anything slow begins.
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
          setupFiles,
          testTimeout: LIMIT_MS,
        },
      })),
      {
        extends: true,
        test: {
          name: 'services',
          include: [...withServices],
          maxWorkers: MAX_WORKERS,
          sequence: { groupOrder: 1 },
          // One broker per run starts the shared services (Postgres, NATS, DynamoDB Local, Kubernetes) when a file first asks.
          globalSetup: ['test/cluster/shared-setup.ts'],
          setupFiles,
          testTimeout: LIMIT_MS,
          hookTimeout: 600_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'strong-consistency',
          // What writes to Edge, once more on global tables that refuse transactions.
          include: ON_STRONG_TABLES,
          // Beside the others, or one long file after another would run alone at the end.
          maxWorkers: MAX_WORKERS,
          sequence: { groupOrder: 1 },
          // Logs of their own, beside those of the same file in the other project.
          env: { TEST_VARIANT: 'strong-consistency' },
          globalSetup: ['test/cluster/shared-setup-strong.ts'],
          setupFiles,
          testTimeout: LIMIT_MS,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
