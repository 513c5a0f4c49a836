import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, ObjectMeta, Resource } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { z } from 'zod';
import type { Caller } from './caller.ts';
import { createVerdicts } from './verdicts.ts';

const SUBJECT_ACCESS_REVIEWS: Resource = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
};

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean(), denied: z.boolean().default(false) }) });

type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch';

/** What may be done to EdgeMigrations. */
interface Attributes {
  readonly verb: Verb;
  /** Undefined: in all namespaces. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** What callers may do, as the API server judges it by its own rules. */
export interface Access {
  /**
   * A right to all namespaces is one to each, and a right to a namespace one to all in it.
   *
   * @throws ApiError when it cannot be asked
   */
  may(caller: Caller, attributes: Attributes): Promise<boolean>;
  /** Of these namespaces those where the caller may do it to any EdgeMigration. */
  namespaces(caller: Caller, verb: Verb, namespaces: Iterable<string>): Promise<Set<string>>;
}

/** Questions at the same time about one caller's namespaces. */
const PARALLEL = 8;

/** @param signal ends all questions; an answer may be for several callers, so that none of theirs does */
export function createAccess(client: Pick<KubernetesClient, 'create'>, clock: Clock, signal: AbortSignal): Access {
  const verdicts = createVerdicts({ clock });

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

  /** By the API server's rules alone, without a wider right. */
  function judge(caller: Caller, attributes: Attributes): Promise<boolean> {
    const { verb, namespace, name } = attributes;
    const question = [verb, namespace, name].filter((part) => part !== undefined).join('/');
    return verdicts.get(caller.key, question, () => review(caller, attributes));
  }

  return {
    async may(caller, { verb, namespace, name }) {
      // One answer about all namespaces, or all of a namespace, is for many questions.
      if (await judge(caller, { verb })) return true;
      if (namespace === undefined) return false;
      if (await judge(caller, { verb, namespace })) return true;
      return name !== undefined && judge(caller, { verb, namespace, name });
    },

    async namespaces(caller, verb, namespaces) {
      const all = new Set(namespaces);
      if (await judge(caller, { verb })) return all;
      const allowed = new Set<string>();
      const waiting = [...all].values();
      const work = async () => {
        for (const namespace of waiting) {
          if (await judge(caller, { verb, namespace })) allowed.add(namespace);
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));
      return allowed;
    },
  };
}
