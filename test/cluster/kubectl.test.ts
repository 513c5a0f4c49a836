import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findKubectl } from './kubectl.ts';
import { createFolder, removeFolder } from './reaper.ts';

let folder: string;
beforeEach(() => {
  folder = createFolder('kubectl');
  vi.stubEnv('PATH', [folder, '/usr/bin', '/bin'].join(delimiter));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await removeFolder(folder);
});

/** A kubectl in front of any other on the PATH that gives this answer. */
function installKubectl(answer: string, exitCode = 0): string {
  const path = join(folder, 'kubectl');
  writeFileSync(path, `#!/bin/sh\ncat <<'END'\n${answer}\nEND\nexit ${exitCode}\n`);
  chmodSync(path, 0o755);
  return path;
}

const describeVersion = (gitVersion: string) => JSON.stringify({ clientVersion: { gitVersion } });

test.each(['v1.33.0', 'v1.34.4', 'v1.35.1-gke.100'])('kubectl %s works with an API server v1.34.4', (version) => {
  const path = installKubectl(describeVersion(version));
  expect(findKubectl('v1.34.4')).toBe(path);
});

test.each(['v1.32.9', 'v1.36.0', 'v2.34.0', ''])('kubectl "%s" does not work with an API server v1.34.4', (version) => {
  installKubectl(describeVersion(version));
  expect(findKubectl('v1.34.4')).toBeUndefined();
});

test('a kubectl that fails or reports no version counts as missing', () => {
  installKubectl(describeVersion('v1.34.4'), 1);
  expect(findKubectl('v1.34.4')).toBeUndefined();
  installKubectl('Client Version: v1.34.4');
  expect(findKubectl('v1.34.4')).toBeUndefined();
});

test('no kubectl is found when there is none on the PATH', () => {
  vi.stubEnv('PATH', folder);
  expect(findKubectl('v1.34.4')).toBeUndefined();
});
