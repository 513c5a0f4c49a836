import { LeadershipLostError } from '@edge-migration/kubernetes/errors.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { operatorConfiguration } from '@edge-migration/operator/config.ts';
import { runOperator } from '@edge-migration/operator/process.ts';
import { runServiceProcess } from '@edge-migration/runtime/process.ts';

/** The operator's process. Exit code 1 includes the loss of the Lease: it then restarts as a follower. */
await runServiceProcess({
  name: 'operator',
  configuration: operatorConfiguration,
  run: (context) => runOperator({ ...context, kubeConfig: loadKubeConfig(process.env['KUBECONFIG']) }),
  // Any remaining work would be forbidden without the Lease.
  isExpected: (error) => error instanceof LeadershipLostError,
});
