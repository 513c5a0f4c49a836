import { hash } from 'node:crypto';
import type { KubernetesClient, ObjectMeta, Resource } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { z } from 'zod';
import { type Caller, createCaller, type Identity } from './caller.ts';
import { createExpiringCache } from './expiring-cache.ts';
import { ProblemError } from './problem.ts';
import { createRateLimit } from './rate-limit.ts';

const TOKEN_REVIEWS: Resource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
};

const reviewSchema = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    user: z
      .object({
        username: z.string().default(''),
        uid: z.string().optional(),
        groups: z.array(z.string()).default([]),
        extra: z.record(z.string(), z.array(z.string())).optional(),
      })
      .default({ username: '', groups: [] }),
  }),
});

/** Asks the API server for the user of a bearer token. */
export interface TokenReviews {
  /**
   * @param address of the client, for limits
   * @throws ProblemError (invalid_token, too_many_requests); ApiError
   */
  authenticate(token: string, address: string): Promise<Caller>;
}

export interface TokenReviewsSettings {
  readonly client: Pick<KubernetesClient, 'create'>;
  /** Empty: the API server's own. */
  readonly audiences: readonly string[];
  /** Groups that are used; all if undefined. */
  readonly groups: readonly string[] | undefined;
  readonly clock: Clock;
  /** Ends all reviews; one may be shared by several requests. */
  readonly signal: AbortSignal;
}

/** Maximum time for which a revoked token, or a group that was left, still counts. */
const REVIEW_MS = 10_000;
const MOST_REVIEWS = 5_000;
/** Wrong tokens of one address; many users may share an address, so valid tokens always pass. */
const WRONG_TOKENS = { burst: 30, perSecond: 2 };
/** Tokens that were not recently found valid, of all addresses. */
const UNKNOWN_TOKENS = { burst: 200, perSecond: 50 };
const KNOWN_MS = 3_600_000;

export function createTokenReviews({ client, audiences, groups, clock, signal }: TokenReviewsSettings): TokenReviews {
  const reviews = createExpiringCache<Identity | undefined>(clock, {
    lifeMs: REVIEW_MS,
    mostEntries: MOST_REVIEWS,
  });
  const good = new Map<string, number>();
  const wrong = createRateLimit(clock, WRONG_TOKENS);
  const unknown = createRateLimit(clock, UNKNOWN_TOKENS);

  async function review(token: string): Promise<Identity | undefined> {
    const spec = { token, ...(audiences.length > 0 && { audiences }) };
    const metadata = {} as ObjectMeta;
    const object = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata, spec };
    const { status } = reviewSchema.parse(await client.create(TOKEN_REVIEWS, object, { signal, retries: 1 }));
    const { username: user, ...rest } = status.user;
    if (!status.authenticated || user === '') return undefined;
    // An authenticator without support for audiences does not return them.
    if (audiences.length > 0 && !audiences.some((audience) => status.audiences.includes(audience))) return undefined;
    const counting = groups === undefined ? rest.groups : rest.groups.filter((group) => counts(group, groups));
    return { ...rest, user, groups: counting };
  }

  function admit(key: string, address: string) {
    const until = good.get(key) ?? 0;
    if (until > clock.monotonic()) return;
    refuse(wrong.peek(address) || unknown.take(''));
  }

  function remember(key: string) {
    good.delete(key);
    const oldest = good.keys().next();
    if (good.size >= MOST_REVIEWS && !oldest.done) good.delete(oldest.value);
    good.set(key, clock.monotonic() + KNOWN_MS);
  }

  return {
    async authenticate(token, address) {
      const key = hash('sha256', token, 'base64');
      const identity = await reviews.get(key, async () => {
        admit(key, address);
        return review(token);
      });
      if (identity === undefined) {
        good.delete(key);
        wrong.take(address);
        const meant = audiences.length === 0 ? '' : ` for audience ${audiences.join(' or ')}`;
        throw new ProblemError(
          'invalid_token',
          `the bearer token is not valid${meant}, or has expired: get another one`,
          {
            headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
          },
        );
      }
      remember(key);
      return createCaller(identity, token);
    },
  };
}

/** The API server's own groups are not accepted from claims. */
const counts = (group: string, groups: readonly string[]) => group.startsWith('system:') || groups.includes(group);

/** @throws ProblemError unless there is nothing to wait for */
export function refuse(waitMs: number): void {
  if (waitMs === 0) return;
  const seconds = Math.ceil(waitMs / 1000);
  throw new ProblemError('too_many_requests', `there were too many requests: wait ${seconds} s`, {
    headers: { 'retry-after': String(seconds) },
  });
}
