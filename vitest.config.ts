import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{identity,operator,replay-sidecar,charts,test}/**/*.test.ts'],
    // Of a kind cluster, with a configuration of its own: `npm run test:kind`.
    exclude: ['**/node_modules/**', 'test/kind/**'],
    // One broker per run starts the shared services (Postgres, NATS, DynamoDB Local, Kubernetes) when a file first asks.
    globalSetup: ['test/cluster/shared-setup.ts'],
    setupFiles: ['test/setup/leaks.ts'],
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 600_000,
    reporters: ['default'],
  },
});
