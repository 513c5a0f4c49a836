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

/** An operation on EdgeMigrations. */
interface Attributes {
  readonly verb: Verb;
  /** Undefined: in all namespaces. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** The rights of callers, as decided by the API server. */
export interface Access {
  /**
   * A right in all namespaces is a right in each, and a right in a namespace is a right on all objects in it.
   *
   * @throws ApiError if the API server cannot be asked
   */
  may(caller: Caller, attributes: Attributes): Promise<boolean>;
  /** Those of these namespaces in which the caller may do it to any EdgeMigration. */
  namespaces(caller: Caller, verb: Verb, namespaces: Iterable<string>): Promise<Set<string>>;
}

/** Parallel reviews of one caller's namespaces. */
const PARALLEL = 8;

/** @param signal ends all reviews; a result may be shared by several callers, so none of their signals does */
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

  /** Decided by the API server alone, without a wider right. */
  function judge(caller: Caller, attributes: Attributes): Promise<boolean> {
    const { verb, namespace, name } = attributes;
    const question = [verb, namespace, name].filter((part) => part !== undefined).join('/');
    return verdicts.get(caller.key, question, () => review(caller, attributes));
  }

  return {
    async may(caller, { verb, namespace, name }) {
      // One result for all namespaces, or all of a namespace, answers many questions.
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
