import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { KubeConfig } from '@edge-migration/kubernetes/client-node.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { CommandError, EXIT } from './exit.ts';

export const FIELD_MANAGER = 'kubectl-edge-migration';

/** The cluster that a command talks to. */
export interface Cluster {
  readonly client: KubernetesClient;
  readonly kubeConfig: KubeConfig;
  /** The namespace of the kubeconfig's context, unless another one is given. */
  readonly namespace: string;
}

export interface ClusterOptions {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
}

/**
 * Found as by kubectl: `--kubeconfig`, `$KUBECONFIG`, `~/.kube/config`, then the pod's service account.
 *
 * @throws CommandError if the kubeconfig cannot be read, or does not have the context
 */
export function openCluster(options: ClusterOptions, clock: Clock): Cluster {
  const kubeConfig = readKubeConfig(options.kubeconfig);
  if (options.context !== undefined) {
    if (kubeConfig.getContextObject(options.context) === null)
      throw new CommandError(EXIT.usage, `the kubeconfig has no context ${options.context}`);
    kubeConfig.setCurrentContext(options.context);
  }
  const context = kubeConfig.getContextObject(kubeConfig.getCurrentContext());
  return {
    client: createClient({ kubeConfig, clock, userAgent: FIELD_MANAGER, timeoutMs: 15_000, retries: 1 }),
    kubeConfig,
    namespace: options.namespace ?? context?.namespace ?? 'default',
  };
}

function readKubeConfig(path: string | undefined): KubeConfig {
  try {
    return loadKubeConfig(path);
  } catch (error) {
    throw new CommandError(EXIT.failed, `the kubeconfig cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
