import { consoleConfiguration } from '@edge-migration/console/config.ts';
import { runConsole } from '@edge-migration/console/process.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { runServiceProcess } from '@edge-migration/runtime/process.ts';

/** Serves the console's page and API. */
await runServiceProcess({
  name: 'console',
  configuration: consoleConfiguration,
  run: (context) => runConsole({ ...context, kubeConfig: loadKubeConfig(process.env['KUBECONFIG']) }),
});
