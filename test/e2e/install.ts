import { readTestConfiguration } from '../configuration.ts';
import type { Target, TargetOptions } from './target.ts';

/**
 * Installs the product for a test file: on an embedded cluster of its own from the plain manifests, or, where
 * `npm run test:kind` names one, on a real cluster from the chart.
 */
export async function install(options: TargetOptions = {}): Promise<Target> {
  const { E2E_KUBECONFIG: kubeconfig } = readTestConfiguration();
  if (kubeconfig === undefined) {
    const embedded = await import('./installation.ts');
    return embedded.install(options);
  }
  const kind = await import('../kind/installation.ts');
  return kind.install(kubeconfig, options);
}
