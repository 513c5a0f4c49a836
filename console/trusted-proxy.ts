import { hash, timingSafeEqual } from 'node:crypto';
import { readSecret } from '@edge-migration/runtime/http/secret-file.ts';
import { type Caller, createCaller } from './caller.ts';
import type { ConsoleConfiguration } from './config.ts';
import { ProblemError } from './problem.ts';

/** Every value of every header, by lower-case name. */
export type DistinctHeaders = Readonly<Record<string, readonly string[] | undefined>>;

export type ProxySettings = Pick<
  ConsoleConfiguration,
  'proxySecretHeader' | 'proxyUserHeader' | 'proxyGroupsHeader' | 'proxyUserPrefix' | 'proxyGroupsPrefix' | 'groups'
> & { readonly proxySecretFile: string };

/** The caller named by an authenticating proxy. */
export interface TrustedProxy {
  /**
   * @throws ProblemError (no_token) unless the proxy proves by its secret that it is the one, and names one caller
   * @throws SecretUnreadableError
   */
  authenticate(headers: DistinctHeaders): Promise<Caller>;
}

/** A name or a group with a control character is invalid. */
const NAME = /^[^\p{C}]{1,256}$/u;
const MOST_GROUPS = 500;

export function createTrustedProxy(settings: ProxySettings): TrustedProxy {
  /** Read each time: an update by the kubelet takes effect at once. */
  async function isProven(presented: string): Promise<boolean> {
    const secret = await readSecret(settings.proxySecretFile);
    return secret !== undefined && timingSafeEqual(digest(secret), digest(presented));
  }

  return {
    async authenticate(headers) {
      const presented = single(headers, settings.proxySecretHeader);
      if (presented === undefined || !(await isProven(presented))) {
        throw new ProblemError('no_token', 'this console is reached by its authenticating proxy only');
      }
      const name = single(headers, settings.proxyUserHeader);
      if (name === undefined)
        throw new ProblemError('no_token', `the proxy did not say who you are: sign in to it again`);
      const user = prefix(settings.proxyUserPrefix) + name;
      const groups = groupsOf(headers[settings.proxyGroupsHeader] ?? [])
        .map((group) => prefix(settings.proxyGroupsPrefix) + group)
        .filter((group) => settings.groups === undefined || settings.groups.includes(group));
      // Kubernetes' own names are themselves rights: no identity provider may claim one of them.
      if ([user, ...groups].some((each) => each.startsWith('system:') || !NAME.test(each))) {
        throw new ProblemError('no_token', 'the proxy names a user or group that is not accepted here');
      }
      return createCaller({ user, groups: [...new Set(groups), 'system:authenticated'] });
    },
  };
}

/** Undefined unless the header occurs exactly once. */
function single(headers: DistinctHeaders, name: string): string | undefined {
  const values = headers[name] ?? [];
  return values.length === 1 && values[0] !== '' ? values[0] : undefined;
}

function groupsOf(values: readonly string[]): string[] {
  // One of two headers may be the client's.
  const groups = values.length === 1 ? values[0]!.split(',').map((group) => group.trim()) : [];
  return groups.filter((group) => group !== '').slice(0, MOST_GROUPS);
}

const digest = (text: string) => hash('sha256', text, 'buffer');
const prefix = (text: string) => (text === '-' ? '' : text);
