/** Values that pods get from the cluster: fields of the pod itself, ConfigMaps and Secrets. */
import { z } from 'zod';
import { type ApiClient, ApiError } from '../api-client.ts';
import type { Pod, PodSpec } from './pod-spec.ts';

/** The pod refers to something that does not exist (yet); worth a retry, as by the kubelet. */
export class MissingSourceError extends Error {
  override readonly name = 'MissingSourceError';
}

/** Where a pod runs, for `fieldRef`. */
export interface PodPlace {
  podIP: string;
  hostIP: string;
  nodeName: string;
}

const METADATA_KEY = /^metadata\.(labels|annotations)\['([^']+)'\]$/;

/** The value of a `fieldRef`, whose field the schema of the pod's spec has checked. */
export function resolveField(path: string, pod: Pod, spec: PodSpec, place: PodPlace): string {
  const { metadata } = pod;
  const keyed = METADATA_KEY.exec(path);
  if (keyed !== null) return metadata[keyed[1] as 'labels' | 'annotations'][keyed[2] as string] ?? '';
  switch (path) {
    case 'metadata.name':
    case 'metadata.namespace':
    case 'metadata.uid':
      return metadata[path.slice('metadata.'.length) as 'name' | 'namespace' | 'uid'];
    case 'metadata.labels':
    case 'metadata.annotations':
      return Object.entries(metadata[path.slice('metadata.'.length) as 'labels' | 'annotations'])
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .sort()
        .join('\n');
    case 'spec.nodeName':
      return place.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName;
    case 'status.podIP':
    case 'status.podIPs':
      return place.podIP;
    case 'status.hostIP':
    case 'status.hostIPs':
      return place.hostIP;
    default:
      throw new Error(`Unknown fieldPath ${path}`);
  }
}

const ConfigMap = z.object({
  data: z.record(z.string(), z.string()).default({}),
  binaryData: z.record(z.string(), z.string()).default({}),
});
const Secret = z.object({ data: z.record(z.string(), z.string()).default({}) });

/**
 * The entries of a ConfigMap or Secret, none for a missing optional one.
 *
 * @throws MissingSourceError when it does not exist and is not optional
 */
export async function readSource(
  api: ApiClient,
  kind: 'configmap' | 'secret',
  namespace: string,
  source: { name: string; optional: boolean },
  signal: AbortSignal,
): Promise<Map<string, Buffer>> {
  let object: unknown;
  try {
    object = await api.get(`/api/v1/namespaces/${namespace}/${kind}s/${source.name}`, signal);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    if (source.optional) return new Map();
    throw new MissingSourceError(`${kind} "${source.name}" not found`, { cause: error });
  }
  const decode = (data: Record<string, string>, encoding: BufferEncoding) =>
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, encoding)] as const);
  if (kind === 'secret') return new Map(decode(Secret.parse(object).data, 'base64'));
  const { data, binaryData } = ConfigMap.parse(object);
  return new Map([...decode(data, 'utf8'), ...decode(binaryData, 'base64')]);
}
