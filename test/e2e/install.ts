import { readTestConfiguration } from '../configuration.ts';
import { findPython } from '../differential/python.ts';
import type { HandoverMode, HandoverTarget, Target, TargetOptions } from './target.ts';

/**
 * Installs the product for a test file: on a separate embedded cluster from the plain manifests, or, if
 * `npm run test:kind` names one, on a real cluster from the chart.
 */
export async function install(options: TargetOptions = {}): Promise<Target> {
  const { E2E_KUBECONFIG: kubeconfig } = readTestConfiguration();
  if (kubeconfig === undefined) {
    const { installEmbedded } = await import('./embedded.ts');
    return installEmbedded(options);
  }
  const kind = await import('../kind/installation.ts');
  return kind.install(kubeconfig, options);
}

/** The same with a stand-in for Flagsmith's image, which hands projects over. */
export async function installWithStandIn(mode: HandoverMode): Promise<HandoverTarget> {
  const { E2E_KUBECONFIG: kubeconfig } = readTestConfiguration();
  if (kubeconfig === undefined) {
    const embedded = await import('./stand-in-installation.ts');
    return embedded.installWithStandIn(mode);
  }
  const kind = await import('../kind/stand-in-installation.ts');
  return kind.installWithStandIn(kubeconfig, mode);
}

/** Whether this machine supports it: as a process the stand-in uses the machine's Python, its image has its own. */
export const hasStandIn = () => readTestConfiguration().E2E_KUBECONFIG !== undefined || findPython() !== undefined;
