import { defineConfig } from 'vitest/config';

/** `npm run test:kind`; see main.ts. */
export default defineConfig({
  test: {
    include: ['test/e2e/*.test.ts', 'test/kind/*.test.ts'],
    // These start clusters and freeze processes of their own, which only the embedded cluster can.
    exclude: ['test/e2e/operator-*.test.ts', 'test/e2e/soak*'],
    setupFiles: ['test/setup/leaks.ts'],
    // One installation at a time.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 900_000,
    reporters: ['verbose'],
  },
});
