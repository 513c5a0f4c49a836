import type { ApplyOptions, KubernetesClient, KubernetesObject, Resource } from './client.ts';

/**
 * Server-side apply in place of the object that was read, and of no other. A request may lie in the network until another
 * process has written, or another replica leads: it replaces nothing that is newer than what its sender knew.
 *
 * Where there was none, an empty one is created first. Fields that an apply has not set are not removed by a later one.
 *
 * @param over the version that was read; undefined when there was no object
 * @throws ConflictError when it is another one by now; ApiError
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
