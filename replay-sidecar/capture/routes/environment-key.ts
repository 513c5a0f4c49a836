import { hash } from 'node:crypto';

import type { EnvironmentReference } from '@edge-migration/contract/write-event.ts';

/** Beyond this, in characters, no environment can have the key (docs/flagsmith.md, "Environment key"). */
const MAX_KEY_LENGTH = 100;

/**
 * How an event names the environment of a presented key. A server key is hashed here and kept nowhere.
 * Undefined: no environment has such a key, so Core answers 403.
 */
export function referenceOf(key: string | undefined): EnvironmentReference | undefined {
  if (key === undefined || key === '' || isTooLong(key) || key.includes('\0')) return undefined;
  if (!isServerKey(key)) return { clientKey: key };
  return { serverKeySha256: hash('sha256', key, 'hex') };
}

function isTooLong(key: string): boolean {
  return key.length > MAX_KEY_LENGTH && (key.length > 2 * MAX_KEY_LENGTH || [...key].length > MAX_KEY_LENGTH);
}

/** Decides, for Core too, whether `allow_client_traits` applies. */
function isServerKey(key: string): boolean {
  return key.startsWith('ser.');
}
