import { join } from 'node:path';
import { readSecret } from '@edge-migration/runtime/http/secret-file.ts';
import type { DestinationCredentials } from './envelope.ts';

/**
 * Credentials in mounted Secrets, read each time that they are needed: an update by the kubelet takes effect at once. A
 * trailing line break is not part of a value.
 */
export interface Secrets {
  /** The secret access key of this id; undefined if there is none. Ids are word characters (`\w`). */
  signingKey(accessKeyId: string): Promise<string | undefined>;
  destination(): Promise<DestinationCredentials>;
}

export function createSecrets(directories: {
  signingKeysDirectory?: string | undefined;
  apiDestinationDirectory?: string | undefined;
}): Secrets {
  const { signingKeysDirectory, apiDestinationDirectory } = directories;
  const read = async (directory: string | undefined, name: string) =>
    directory === undefined ? undefined : await readSecret(join(directory, name));
  return {
    signingKey: (accessKeyId) => read(signingKeysDirectory, accessKeyId),
    async destination() {
      const [apiKey, username, password] = await Promise.all(
        ['api-key', 'username', 'password'].map((name) => read(apiDestinationDirectory, name)),
      );
      return { apiKey, username, password };
    },
  };
}
