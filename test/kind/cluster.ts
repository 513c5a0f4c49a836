import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from '../cluster/binaries.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import type { TestConfiguration } from '../configuration.ts';
import { run } from './commands.ts';

/** A cluster to install into. */
export interface RealCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** Loads images of the local engine into its nodes. */
  load(images: readonly string[]): Promise<void>;
}

const CONTEXT_OF_KIND = /^kind-(.+)$/;

/** The cluster of KUBECONFIG if that is set, else a kind cluster, deleted at the end unless KIND_KEEP prevents it. */
export async function openCluster(configuration: TestConfiguration): Promise<RealCluster> {
  const { KUBECONFIG: given } = configuration;
  return given === undefined ? createKind(configuration) : takeCluster(given);
}

async function takeCluster(kubeconfig: string): Promise<RealCluster> {
  if (!existsSync(kubeconfig)) throw new Error(`KUBECONFIG names ${kubeconfig}, which is not there`);
  const kubectl = await binary('kubectl');
  const context = (await run(kubectl, ['--kubeconfig', kubeconfig, 'config', 'current-context'])).trim();
  const name = CONTEXT_OF_KIND.exec(context)?.[1];
  return {
    kubeconfig,
    async load(images) {
      if (name !== undefined) await loadIntoKind(name, images);
      else console.error(`${context} is not a kind cluster: its nodes must be able to pull ${images.join(', ')}`);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function createKind({
  KIND_CLUSTER: name,
  KIND_NODE_IMAGE: image,
  KIND_CONFIG: config,
  KIND_KEEP: keep,
}: TestConfiguration): Promise<RealCluster> {
  const folder = createFolder('kind');
  const kubeconfig = join(folder, 'kubeconfig');
  const options = [
    ...(image === undefined ? [] : ['--image', image]),
    ...(config === undefined ? [] : ['--config', config]),
  ];
  const exists = (await run('kind', ['get', 'clusters'])).split('\n').includes(name);
  if (exists) await run('kind', ['export', 'kubeconfig', '--name', name, '--kubeconfig', kubeconfig], { show: true });
  else {
    const create = ['create', 'cluster', '--name', name, '--kubeconfig', kubeconfig, '--wait', '180s', ...options];
    await run('kind', create, { show: true });
  }
  return {
    kubeconfig,
    load: (images) => loadIntoKind(name, images),
    async [Symbol.asyncDispose]() {
      if (!exists && !keep) await run('kind', ['delete', 'cluster', '--name', name], { show: true });
      await removeFolder(folder);
    },
  };
}

async function loadIntoKind(name: string, images: readonly string[]): Promise<void> {
  // One at a time: kind would send all of them if one is missing.
  for (const image of images) await run('kind', ['load', 'docker-image', '--name', name, image], { show: true });
}
