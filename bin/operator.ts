import { LeadershipLostError } from '@edge-migration/kubernetes/errors.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { operatorConfiguration } from '@edge-migration/operator/config.ts';
import { runOperator } from '@edge-migration/operator/process.ts';
import { runServiceProcess } from '@edge-migration/runtime/process.ts';

/** The operator's process. Exit code 1 also tells that it lost the Lease: it starts again as a follower. */
await runServiceProcess({
  name: 'operator',
  configuration: operatorConfiguration,
  run: (context) => runOperator({ ...context, kubeConfig: loadKubeConfig(process.env['KUBECONFIG']) }),
  // Nothing is left to do that the Lease would not forbid.
  isExpected: (error) => error instanceof LeadershipLostError,
});
