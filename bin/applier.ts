import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { runApplier } from '@edge-migration/replay-sidecar/applier/applier.ts';
import { applierConfiguration } from '@edge-migration/replay-sidecar/applier/config.ts';
import { runServiceProcess } from '@edge-migration/runtime/process.ts';

/** The edge applier's process. */
await runServiceProcess({
  name: 'edge-applier',
  configuration: applierConfiguration,
  run: ({ logger, ...context }) =>
    runApplier({ ...context, logger, kubeConfig: loadKubeConfig(process.env['KUBECONFIG']) }),
});
