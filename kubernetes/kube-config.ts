import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { User } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { z } from 'zod';
import { KubeConfig } from './client-node.ts';

const TokenFiles = z.object({
  users: z
    .array(z.object({ name: z.string(), user: z.object({ tokenFile: z.string().optional() }).nullish() }))
    .nullish(),
});

/**
 * Loads a kubeconfig. A user's `tokenFile` is read again regularly, as by kubectl, so that a rotated token takes
 * effect; client-node itself ignores the field.
 *
 * @param path of the file; undefined: client-node's order: $KUBECONFIG, ~/.kube/config, the pod's ServiceAccount
 */
export function loadKubeConfig(path?: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (path === undefined) {
    kubeConfig.loadFromDefault();
    return kubeConfig;
  }
  kubeConfig.loadFromFile(path);
  const { users } = TokenFiles.parse(parse(readFileSync(path, 'utf8')));
  const files = new Map((users ?? []).map(({ name, user }) => [name, user?.tokenFile]));
  kubeConfig.users = kubeConfig.users.map((user) => withTokenFile(user, files.get(user.name), dirname(path)));
  return kubeConfig;
}

/** The file takes precedence over a token, as in client-go. */
function withTokenFile(user: User, file: string | undefined, folder: string): User {
  if (file === undefined) return user;
  const { token: _, ...rest } = user;
  return { ...rest, authProvider: { name: 'tokenFile', config: { tokenFile: resolve(folder, file) } } };
}
