import { EDGE_MIGRATIONS, LABELS, parseEdgeMigration, projectOf } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject, Resource } from '@edge-migration/kubernetes/client.ts';
import { createReflector, type ReflectorSettings } from '@edge-migration/kubernetes/reflector.ts';
import { CONFIG_MAPS, JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import type { OperatorConfiguration } from '../config.ts';
import { type Owned, parseConfigMap, parseJob } from '../edge-migration/parse.ts';
import { parsePod } from '../edge-migration/pods.ts';
import { BY_KEY, BY_MIGRATION, BY_PROJECT } from '../edge-migration/sources.ts';

export type CacheSettings = Pick<ReflectorSettings<unknown>, 'clock' | 'logger' | 'registry' | 'timings'>;
export type Caches = ReturnType<typeof createCaches>;

/** The objects of a migration; for reports only their existence, so that they are deleted with it. */
const OWNED_SELECTOR = `${LABELS.managedBy}=edge-migration,${LABELS.component}`;

/** EdgeMigrations, and what the operator has created for them. */
export function createCaches(
  client: KubernetesClient,
  { namespace, watchNamespaces }: OperatorConfiguration,
  common: CacheSettings,
) {
  const owned = <T>(resource: Resource, parse: (object: KubernetesObject) => Owned<T>) =>
    createReflector<Owned<T>>({
      client,
      resource,
      parse,
      namespaces: [namespace],
      labelSelector: OWNED_SELECTOR,
      indexes: { [BY_MIGRATION]: ({ migrationUid }) => [migrationUid], [BY_KEY]: ({ migration }) => [migration] },
      ...common,
    });
  return {
    migrations: createReflector({
      client,
      resource: EDGE_MIGRATIONS,
      parse: parseEdgeMigration,
      namespaces: watchNamespaces,
      indexes: { [BY_PROJECT]: (migration) => [String(projectOf(migration))] },
      ...common,
    }),
    jobs: owned(JOBS, parseJob),
    configMaps: owned(CONFIG_MAPS, parseConfigMap),
    pods: owned(PODS, parsePod),
  };
}
