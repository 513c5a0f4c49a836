import { hash } from 'node:crypto';
import type { Clock } from '@edge-migration/identity/clock.ts';
import { EDGE_MIGRATIONS } from '@edge-migration/operator/edge-migration/api.ts';
import type { KubernetesClient, ObjectMeta, Resource } from '@edge-migration/operator/kubernetes/client.ts';
import { z } from 'zod';
import type { Caller } from './caller.ts';
import { createExpiringCache } from './expiring-cache.ts';

const SUBJECT_ACCESS_REVIEWS: Resource = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
};

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean(), denied: z.boolean().default(false) }) });

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch';

/** What may be done to EdgeMigrations. */
export interface Attributes {
  readonly verb: Verb;
  /** Undefined: in all namespaces. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** What callers may do, as the API server judges it by its own rules. */
export interface Access {
  /** @throws ApiError when it cannot be asked */
  may(caller: Caller, attributes: Attributes): Promise<boolean>;
  /** Of these namespaces those where the caller may do it to any EdgeMigration. */
  namespaces(caller: Caller, verb: Verb, namespaces: Iterable<string>): Promise<Set<string>>;
}

/** Rights that were taken away count for so long at most. */
const REVIEW_MILLISECONDS = 5_000;
const MOST_REVIEWS = 20_000;
/** Questions at the same time about one caller's namespaces. */
const PARALLEL = 8;

/** @param signal ends all questions; an answer may be for several callers, so that none of theirs does */
export function createAccess(client: Pick<KubernetesClient, 'create'>, clock: Clock, signal: AbortSignal): Access {
  const reviews = createExpiringCache<boolean>(clock, { milliseconds: REVIEW_MILLISECONDS, mostEntries: MOST_REVIEWS });

  async function review(caller: Caller, { verb, namespace, name }: Attributes) {
    const { user, groups, uid, extra } = caller;
    const { group, plural: resource, version } = EDGE_MIGRATIONS;
    const resourceAttributes = { group, version, resource, verb, namespace, name };
    const spec = { user, groups, uid, extra, resourceAttributes };
    const metadata = {} as ObjectMeta;
    const object = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata, spec };
    const answer = await client.create(SUBJECT_ACCESS_REVIEWS, object, { signal, retries: 1 });
    const { allowed, denied } = reviewSchema.parse(answer).status;
    return allowed && !denied;
  }

  const access: Access = {
    may(caller, attributes) {
      const { verb, namespace, name } = attributes;
      const key = hash('sha256', JSON.stringify([caller.key, verb, namespace ?? null, name ?? null]), 'base64');
      return reviews.get(key, () => review(caller, attributes));
    },

    async namespaces(caller, verb, namespaces) {
      const all = new Set(namespaces);
      if (await access.may(caller, { verb })) return all;
      const allowed = new Set<string>();
      const waiting = [...all].values();
      const work = async () => {
        for (const namespace of waiting) {
          if (await access.may(caller, { verb, namespace })) allowed.add(namespace);
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));
      return allowed;
    },
  };
  return access;
}
