import { hash } from 'node:crypto';
import type { Headers } from '@edge-migration/kubernetes/transport.ts';
import type { ConsoleConfiguration } from './config.ts';

/** Who a caller is to Kubernetes. */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

export interface Caller extends Identity {
  /** The same for the same identity, and another for each token of it: for caches. Limits are those of the user. */
  readonly key: string;
  /** The caller's own bearer token, where there is one. */
  readonly token?: string | undefined;
}

export function createCaller(identity: Identity, token?: string): Caller {
  const { user, groups, uid, extra } = identity;
  const text = JSON.stringify([user, groups, uid ?? null, Object.entries(extra ?? {})]);
  return { ...identity, key: hash('sha256', text, 'base64'), token };
}

/** Where and as whom the API server is called in the caller's name. */
export type Delegation =
  /** On a connection that has no credentials but these headers. */
  | { readonly kind: 'token'; readonly headers: Headers }
  /** On the console's own. */
  | { readonly kind: 'impersonation'; readonly headers: Headers };

const SERVICE_ACCOUNT = 'system:serviceaccount:';

/**
 * How something is done in the caller's name: with his own token, so that the API server judges and records the caller
 * himself; or by impersonation. Undefined where the console does nothing in anyone's name.
 *
 * Of groups only those are sent that the API server does not add by itself; `system:` names are never impersonated but for
 * those of service accounts, since a name such as `system:kube-scheduler` would be a right by itself.
 */
export function delegate(caller: Caller, writes: ConsoleConfiguration['writes']): Delegation | undefined {
  if (writes === 'Off') return undefined;
  if (writes === 'Token') {
    if (caller.token === undefined) return undefined;
    return { kind: 'token', headers: { authorization: `Bearer ${caller.token}` } };
  }
  const { user, groups } = caller;
  if (user.startsWith('system:') && !user.startsWith(SERVICE_ACCOUNT)) return undefined;
  const own = groups.filter((group) => !group.startsWith('system:'));
  return {
    kind: 'impersonation',
    headers: { 'impersonate-user': user, ...(own.length > 0 && { 'impersonate-group': own }) },
  };
}
