import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Caller } from './caller.ts';
import type { ConsoleConfiguration } from './config.ts';
import { ProblemError } from './problem.ts';
import { createTokenReviews } from './token-reviews.ts';
import { createTrustedProxy, type DistinctHeaders } from './trusted-proxy.ts';

export type Authenticate = (headers: DistinctHeaders, address: string) => Promise<Caller>;

export interface AuthenticationSettings {
  readonly configuration: ConsoleConfiguration;
  readonly client: Pick<KubernetesClient, 'create'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The configured one of the two methods; headers of the other one are ignored. */
export function createAuthentication({ configuration, client, clock, signal }: AuthenticationSettings): Authenticate {
  const { authentication, proxySecretFile, tokenAudiences: audiences = [], groups } = configuration;
  if (authentication === 'Proxy' && proxySecretFile !== undefined) {
    const proxy = createTrustedProxy({ ...configuration, proxySecretFile });
    return (headers) => proxy.authenticate(headers);
  }
  const reviews = createTokenReviews({ client, audiences, groups, clock, signal });
  return async (headers, address) => reviews.authenticate(readToken(headers['authorization']), address);
}

/** Sized for tokens of identity providers; RFC 6750's characters. */
const TOKEN = /^[Bb]earer ([A-Za-z0-9._~+/=-]{1,8192})$/;

/** @throws ProblemError unless there is one bearer token */
export function readToken(authorizations: readonly string[] | undefined): string {
  const [, token] = authorizations?.length === 1 ? (TOKEN.exec(authorizations[0]!) ?? []) : [];
  if (token !== undefined) return token;
  throw new ProblemError(
    'no_token',
    'send a Kubernetes token as "Authorization: Bearer …"; `kubectl create token` makes one',
    {
      headers: { 'www-authenticate': 'Bearer' },
    },
  );
}
