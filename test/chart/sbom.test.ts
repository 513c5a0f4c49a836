/** Checks the bill of materials against package-lock.json, read independently of its generator. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createBillOfMaterials } from '../../scripts/sbom.ts';

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

interface LockedPackage {
  version?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}
type Packages = Readonly<Record<string, LockedPackage>>;

/** Where Node finds a package, starting from another one's folder. */
function resolve(packages: Packages, place: string, name: string): string | undefined {
  const at = `${place && `${place}/`}node_modules/${name}`;
  if (at in packages || place === '') return at in packages ? at : undefined;
  const end = place.lastIndexOf('node_modules/');
  return resolve(packages, end <= 0 ? '' : place.slice(0, end - 1), name);
}

/** Everything that the workspaces load, transitively. */
function installed(packages: Packages): Set<string> {
  const found = new Set<string>();
  const visit = (place: string) => {
    const { dependencies, optionalDependencies } = packages[place]!;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const at = resolve(packages, place, name);
      if (at === undefined || found.has(at) || name.startsWith('@edge-migration/')) continue;
      found.add(at);
      visit(at);
    }
  };
  for (const workspace of WORKSPACES) visit(workspace);
  return new Set([...found].map((at) => `${at.slice(at.lastIndexOf('node_modules/') + 13)}@${packages[at]!.version}`));
}

it('the SBOM lists exactly the packages of the processes, and the base image by its digest', async () => {
  const { bomFormat, components } = await createBillOfMaterials();
  expect(bomFormat).toBe('CycloneDX');
  const [base, ...listed] = components;
  expect(base).toMatchObject({
    type: 'container',
    name: 'node',
    purl: expect.stringMatching(/^pkg:oci\/node@sha256%3A/),
  });
  const names = listed.map(({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`);
  const foreign = [...new Set(names)].filter((name) => !name.startsWith('@edge-migration/'));
  const { packages } = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'));
  expect(foreign.toSorted()).toEqual([...installed(packages)].toSorted());
});
