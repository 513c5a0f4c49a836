import { readFileSync } from 'node:fs';
import type { NatsRole } from '@edge-migration/runtime/nats/connection.ts';
import { type Nats, type NatsOptions, startNats } from './nats.ts';

const ACCOUNTS = new URL('../../charts/edge-migration/files/nats-accounts.conf', import.meta.url);

/** The JetStream API's prefix in the sidecars' account, as in their manifests. */
export const SIDECAR_API_PREFIX = 'edge.JS.API';

export interface NatsWithAccounts extends Nats {
  /** For a process of this role; without a user, for an administrator of the streams' account. */
  urlOf(role: NatsRole): string;
}

export interface AccountsOptions extends Pick<NatsOptions, 'signal' | 'strict'> {
  /** The accounts file as the chart renders it; the chart's own by default. */
  accounts?: string;
}

/** A separate server with the chart's accounts, so that processes are tested with the rights they are shipped with. */
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

/** Password of a role's user. */
export function passwordOf(role: string): string {
  return `word-of-${role}`;
}
