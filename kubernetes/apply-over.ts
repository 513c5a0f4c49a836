import type { ApplyOptions, KubernetesClient, KubernetesObject, Resource } from './client.ts';

/**
 * Server-side apply conditional on the object that was read. A request may be delayed in the network until another
 * process has written, or another replica leads: it never replaces anything newer than its sender has seen.
 *
 * If there was no object, an empty one is created first. Fields that an earlier apply has not set are not removed by a
 * later one.
 *
 * @param over the version that was read; undefined if there was no object
 * @throws ConflictError if the object has changed since; ApiError
 */
export async function applyOver(
  client: Pick<KubernetesClient, 'apply' | 'create'>,
  resource: Resource,
  object: KubernetesObject,
  over: string | undefined,
  options: Omit<ApplyOptions, 'force'>,
): Promise<KubernetesObject> {
  const { apiVersion, kind, metadata } = object;
  const resourceVersion =
    over ?? (await client.create(resource, { apiVersion, kind, metadata }, options)).metadata.resourceVersion;
  const next = { ...object, metadata: { ...metadata, ...(resourceVersion && { resourceVersion }) } };
  return client.apply(resource, next, { ...options, force: true });
}
