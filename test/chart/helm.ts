import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { binary } from '../cluster/binaries.ts';

export const CHART = fileURLToPath(new URL('../../charts/edge-migration', import.meta.url));

/** Sets of values that represent kinds of installations: name and file. */
export const VARIANTS: readonly (readonly [name: string, file: string])[] = readdirSync(`${CHART}/ci`)
  .filter((file) => file.endsWith('-values.yaml'))
  .map((file) => [file.replace('-values.yaml', ''), `${CHART}/ci/${file}`]);

const run = promisify(execFile);

/** Helm's output; the error of a failed command has its standard error as message. */
export async function helm(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  try {
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment };
    return (await run(await binary('helm'), args, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { stderr, stdout } = error as { stderr?: string; stdout?: string };
    throw new Error(`helm ${args.join(' ')}: ${stderr ?? ''}${stdout ?? ''}`, { cause: error });
  }
}

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
});
export type Manifest = z.output<typeof manifest>;

/** The objects of a release `edge-migration` in this namespace. */
export async function render(namespace: string, args: readonly string[]): Promise<Manifest[]> {
  const command = ['template', 'edge-migration', CHART, '--namespace', namespace, '--kube-version', '1.34.0'];
  const text = await helm([...command, ...args]);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((object) => object !== null)
    .map((object) => manifest.parse(object));
}

/** @throws Error when there is none */
export function find(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name} in ${objects.map(({ kind }) => kind).join(', ')}`);
  return found;
}
