import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** The base of relative paths in the arguments of processes. */
export const ROOT = fileURLToPath(new URL('../', import.meta.url));

const OPERATOR = 'operator/deploy/operator.yaml';

/** How a shipped manifest starts its process, flags included: the arguments of the Deployment's first container. */
export async function readDeployedArguments(manifest: `${string}.yaml`): Promise<string[]> {
  return (await readPods(manifest)).spec.containers[0].args;
}

/** The pod template from which the shipped operator creates copy pods, as JSON. */
export async function readWorkerTemplate(): Promise<string> {
  return (await readPods(OPERATOR)).metadata.annotations['edge.flagsmith.com/worker-template'];
}

/** How the shipped template runs Node in copy pods: flags, and its settings of the C library's allocator. */
export async function readWorkerRuntime(): Promise<{ flags: string[]; env: Record<string, string> }> {
  const { args, env } = JSON.parse(await readWorkerTemplate()).spec.containers[0] as {
    args: string[];
    env: { name: string; value: string }[];
  };
  const allocator = env.filter(({ name }) => name.startsWith('MALLOC_'));
  return {
    flags: args.filter((argument) => argument.startsWith('--')),
    env: Object.fromEntries(allocator.map(({ name, value }) => [name, value])),
  };
}

async function readPods(manifest: `${string}.yaml`) {
  const documents = parseAllDocuments(await readFile(join(ROOT, manifest), 'utf8'));
  return documents.map((document) => document.toJS()).find(({ kind }) => kind === 'Deployment').spec.template;
}
