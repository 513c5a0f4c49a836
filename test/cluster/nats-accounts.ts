import { readFileSync } from 'node:fs';
import type { NatsRole } from '@edge-migration/runtime/nats/connection.ts';
import { type Nats, type NatsOptions, startNats } from './nats.ts';

const ACCOUNTS = new URL('../../charts/edge-migration/files/nats-accounts.conf', import.meta.url);

/** Where the sidecars' account has the API, as their manifests say. */
export const SIDECAR_API_PREFIX = 'edge.JS.API';

export interface NatsWithAccounts extends Nats {
  /** For a process of this role; without a user one is an administrator of the streams' account. */
  urlOf(role: NatsRole): string;
}

export interface AccountsOptions extends Pick<NatsOptions, 'signal' | 'strict'> {
  /** The accounts as the chart renders them; its file by default. */
  accounts?: string;
}

/** A server of its own with the chart's accounts, so that what is tested has the rights that it is shipped with. */
export async function startNatsWithAccounts(options: AccountsOptions = {}): Promise<NatsWithAccounts> {
  const { accounts = readFileSync(ACCOUNTS, 'utf8'), ...others } = options;
  const withAdministrator = accounts
    .replace('users: [', 'users: [\n { user: administrator, password: administrator }')
    .replace(/\$EDGE_MIGRATION_NATS_(\w+)_PASSWORD/g, (_, role: string) => passwordOf(role.toLowerCase()));
  const nats = await startNats({ config: `${withAdministrator}\nno_auth_user: administrator`, ...others });
  return Object.assign(nats, {
    urlOf: (role: NatsRole) => nats.url.replace('nats://', `nats://${role}:${passwordOf(role)}@`),
  });
}

/** Of a role's user. */
export function passwordOf(role: string): string {
  return `word-of-${role}`;
}
