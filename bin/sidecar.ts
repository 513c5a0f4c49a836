import { runSidecarProcess } from '@edge-migration/replay-sidecar/capture/process.ts';
import manifest from '@edge-migration/replay-sidecar/package.json' with { type: 'json' };

/** The capture sidecar's process. */
await runSidecarProcess({ release: manifest.version });
