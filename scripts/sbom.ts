/**
 * Writes the bill of materials of the image, in CycloneDX's JSON, to the standard output: every package of its
 * processes as package-lock.json has it, and the base image that Node and its libraries come from.
 *
 *     npm run --silent sbom > edge-migration-0.1.0.cdx.json
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** As in the Dockerfile; the image contains the console's page as a bundle. */
const WORKSPACES = [
  'console',
  'console/page',
  'contract',
  'identity',
  'kubernetes',
  'operator',
  'replay-sidecar',
  'runtime',
];
const ROOT = new URL('../', import.meta.url);

export interface Component {
  readonly type: string;
  readonly group?: string;
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly components?: readonly Component[];
}

export interface BillOfMaterials {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: string;
  readonly components: readonly Component[];
}

/** @throws the generator's error, with its output, when package-lock.json and the manifests do not match */
export async function createBillOfMaterials(): Promise<BillOfMaterials> {
  const generator = fileURLToPath(new URL('bin/cyclonedx-npm-cli.js', import.meta.resolve('@cyclonedx/cyclonedx-npm')));
  const workspaces = WORKSPACES.flatMap((name) => ['--workspace', name]);
  const options = ['--omit', 'dev', '--package-lock-only', '--output-reproducible', '--flatten-components'];
  const { stdout } = await promisify(execFile)(process.execPath, [generator, ...options, ...workspaces], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
  });
  const packages = JSON.parse(stdout) as BillOfMaterials;
  return { ...packages, components: [describeBase(), ...packages.components] };
}

/** The base image of the Dockerfile, by its digest. */
function describeBase(): Component {
  const dockerfile = readFileSync(new URL('Dockerfile', ROOT), 'utf8');
  const [, name = '', version = '', digest = ''] = /^ARG NODE_IMAGE=([^:]+):([^@\s]+)@(\S+)$/m.exec(dockerfile) ?? [];
  if (digest === '') throw new Error('The Dockerfile does not name its base image by tag and digest');
  return { type: 'container', name, version, purl: `pkg:oci/${name}@${encodeURIComponent(digest)}?tag=${version}` };
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await createBillOfMaterials(), null, 2)}\n`);
