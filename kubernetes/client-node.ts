/**
 * The only part of client-node in use: reading kubeconfigs and credentials. As a whole it loads a class for every type
 * of the Kubernetes API, about 700 files that take 40 MB and a second to load, for two functions that need none of
 * them.
 */
import { registerHooks } from 'node:module';

registerHooks({
  // If a release has another layout, everything is loaded.
  resolve(specifier, context, next) {
    const isWhole = specifier === './gen/index.js' && context.parentURL?.endsWith('/client-node/dist/config.js');
    return isWhole ? next(new URL('./client-node-part.ts', import.meta.url).href, context) : next(specifier, context);
  },
});

export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
export type KubeConfig = InstanceType<typeof KubeConfig>;
