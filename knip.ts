import type { KnipConfig } from 'knip';

/** What is started by its path, by a manifest, a test or a person: `npm run check:unused` finds all else by its imports. */
export default {
  workspaces: {
    '.': { entry: ['bin/*.ts', 'scripts/*.{ts,mjs}'] },
    cli: { entry: ['main.ts'] },
    test: {
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
  // Of the machine's.
  ignoreBinaries: ['cc', 'openssl'],
} satisfies KnipConfig;
