import { hash } from 'node:crypto';
import type { Headers } from '@edge-migration/kubernetes/transport.ts';
import type { ConsoleConfiguration } from './config.ts';

/** A caller's identity in Kubernetes. */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

export interface Caller extends Identity {
  /** Equal for the same identity and token: for caches. Limits apply to the user. */
  readonly key: string;
  /** The caller's own bearer token, if there is one. */
  readonly token?: string | undefined;
}

export function createCaller(identity: Identity, token?: string): Caller {
  const { user, groups, uid, extra } = identity;
  const text = JSON.stringify([user, groups, uid ?? null, Object.entries(extra ?? {})]);
  return { ...identity, key: hash('sha256', text, 'base64'), token };
}

/** A client, and the headers that act on behalf of the caller. */
export type Delegation =
  /** On a connection that has no credentials except these headers. */
  | { readonly kind: 'token'; readonly headers: Headers }
  /** On the console's own connection. */
  | { readonly kind: 'impersonation'; readonly headers: Headers };

const SERVICE_ACCOUNT = 'system:serviceaccount:';

/**
 * How an operation is done on behalf of the caller: with the caller's own token, so that the API server authorizes and
 * records the caller; or by impersonation. Undefined if the console acts on behalf of no one.
 *
 * Only groups that the API server does not add by itself are sent; `system:` names are never impersonated except those
 * of service accounts, since a name such as `system:kube-scheduler` would itself be a right.
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
