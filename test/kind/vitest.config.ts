import { defineConfig } from 'vitest/config';

/** `npm run test:kind`; see main.ts. */
export default defineConfig({
  test: {
    // The others freeze processes, or put proxies between the parts, which only the embedded cluster supports.
    include: ['test/e2e/{copy,documents,faults,bad-input,replay,verify,handover}.test.ts', 'test/kind/*.test.ts'],
    setupFiles: ['test/setup/leaks.ts'],
    // One installation at a time.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 900_000,
    reporters: ['verbose'],
  },
});
