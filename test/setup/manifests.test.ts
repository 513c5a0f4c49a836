import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from './import-graph.ts';

/** We replace or use internals of these: any release may change them, and tests beside that code say where. */
const WITH_INTERNALS = [
  '@aws-sdk/client-dynamodb',
  '@aws-sdk/core',
  '@kubernetes/client-node',
  '@nats-io/transport-node',
  '@smithy/core',
  '@smithy/signature-v4',
];

const read = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
const folders: string[] = ['.', ...read('package.json').workspaces];
/** Each dependency of each workspace, with the required version. */
const dependencies = folders.flatMap((folder) => {
  const { dependencies = {}, devDependencies = {} } = read(`${folder}/package.json`);
  return Object.entries<string>({ ...dependencies, ...devDependencies });
});
const versionsOf = (wanted: string) => dependencies.filter(([name]) => name === wanted).map(([, version]) => version);

it.each(WITH_INTERNALS)('%s is pinned to one release', (name) => {
  expect([...new Set(versionsOf(name))]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
});

it.each([...new Set(dependencies.map(([name]) => name))])('all workspaces require the same version of %s', (name) => {
  expect(new Set(versionsOf(name)).size).toBe(1);
});

it('the lock file names no registry', () => {
  expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved": "https?:/);
});
