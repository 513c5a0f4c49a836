import type { KnipConfig } from 'knip';

/** Of the product, as .dependency-cruiser.mjs has it: no tests, and nothing that only they use. */
const PRODUCT = ['**/*.{ts,tsx}!', '!**/*.test.ts!', '!**/{testing,fixtures}/**!', '!**/testing.ts!'];

/**
 * What is started by its path, by a manifest, a test or a person: all else is found by its imports. `npm run check:unused` looks
 * twice: at all files, and at those of the product alone (marked by `!`), which finds what only tests use.
 */
export default {
  workspaces: {
    '.': {
      entry: ['bin/*.ts!', 'scripts/*.{ts,mjs}'],
      project: ['*.ts', 'scripts/**', 'bin/*.ts!', '!bin/*.test.ts!'],
    },
    cli: { entry: ['{main,build}.ts!'], project: PRODUCT },
    console: { project: PRODUCT },
    'console/page': { entry: ['{main.tsx,build.ts}!'], project: PRODUCT },
    contract: { project: PRODUCT },
    identity: { project: PRODUCT },
    kubernetes: { project: PRODUCT },
    operator: { project: PRODUCT },
    'replay-sidecar': { project: PRODUCT },
    runtime: { project: PRODUCT },
    test: {
      project: ['**/*.ts'],
      entry: [
        'bench/*.ts',
        'bench/sidecar/{bare-proxy,bare-publisher,null-api}.ts',
        'integration/proxy-conformance/support/proxy-process.ts',
        'kind/pods/*.ts',
        // Test runs of their own, of files that the first one does not take in.
        'kind/vitest.config.ts',
        'setup/fixtures/*/{vitest.config,*.fixture}.ts',
      ],
    },
  },
  // Tests may look into a module, at its limits or its messages, as long as the module needs that itself.
  ignoreExportsUsedInFile: process.argv.includes('--production'),
  // Of the machine's.
  ignoreBinaries: ['cc', 'openssl'],
} satisfies KnipConfig;
