import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** Where the arguments of processes are relative to. */
export const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** How a shipped manifest starts its process, flags included: the arguments of the Deployment's first container. */
export async function readDeployedArguments(manifest: `${string}.yaml`): Promise<string[]> {
  const documents = parseAllDocuments(await readFile(join(ROOT, manifest), 'utf8'));
  const deployment = documents.map((document) => document.toJS()).find(({ kind }) => kind === 'Deployment');
  return deployment.spec.template.spec.containers[0].args;
}
