import { spawnSync } from 'node:child_process';
import { z } from 'zod';
import { findTool } from './cache.ts';

const TIMEOUT_MS = 10_000;
const Version = z.object({ clientVersion: z.object({ gitVersion: z.string() }) });

/**
 * The path of the kubectl on the PATH, if its version is supported with an API server of `serverVersion` (`v1.34.4`):
 * at most one minor version away, by Kubernetes' version skew policy. Undefined when there is none, or no version.
 */
export function findKubectl(serverVersion: string): string | undefined {
  const path = findTool('kubectl');
  if (path === undefined) return undefined;
  const args = ['version', '--client', '--output=json'];
  const { status, stdout } = spawnSync(path, args, { encoding: 'utf8', timeout: TIMEOUT_MS });
  const version = status === 0 ? readVersion(stdout) : '';
  const [server, client] = [minorOf(serverVersion), minorOf(version)];
  return server !== undefined && client !== undefined && Math.abs(server - client) <= 1 ? path : undefined;
}

function readVersion(output: string): string {
  try {
    return Version.parse(JSON.parse(output)).clientVersion.gitVersion;
  } catch {
    // Another program of that name counts as missing.
    return '';
  }
}

/** 34 of `v1.34.4`; undefined for another major version. */
function minorOf(version: string): number | undefined {
  const minor = /^v1\.(\d+)\./.exec(version)?.[1];
  return minor === undefined ? undefined : Number(minor);
}
