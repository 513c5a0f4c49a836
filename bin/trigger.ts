import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { triggerConfiguration } from '@edge-migration/operator/trigger/config.ts';
import { runTrigger } from '@edge-migration/operator/trigger/process.ts';
import { runServiceProcess } from '@edge-migration/runtime/process.ts';

/** Receives the events by which Flagsmith's dashboard requests migrations. */
await runServiceProcess({
  name: 'trigger',
  configuration: triggerConfiguration,
  run: (context) => runTrigger({ ...context, kubeConfig: loadKubeConfig(process.env['KUBECONFIG']) }),
});
