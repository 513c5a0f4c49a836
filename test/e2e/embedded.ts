import { dynamodb } from '../cluster/shared.ts';
import { type Installation, type InstallationOptions, install } from './installation.ts';

/**
 * Installs the product for a test file on an embedded cluster of its own, with tables of its own in the DynamoDB Local that the
 * run shares: a warm server does the same with a third of the work of one that has just started.
 */
export async function installEmbedded(options: InstallationOptions = {}): Promise<Installation> {
  return await install({ edge: await dynamodb(), ...options });
}
