/**
 * What we use of client-node: its reading of kubeconfigs and credentials. By itself it brings a class for every type of
 * Kubernetes's API, some 700 files that take 40 MB and a second to load, for two functions that need none of them.
 */
import { registerHooks } from 'node:module';

registerHooks({
  // Should a release be laid out otherwise, everything is loaded as before.
  resolve(specifier, context, next) {
    const isWhole = specifier === './gen/index.js' && context.parentURL?.endsWith('/client-node/dist/config.js');
    return isWhole ? next(new URL('./client-node-part.ts', import.meta.url).href, context) : next(specifier, context);
  },
});

export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
export type KubeConfig = InstanceType<typeof KubeConfig>;
