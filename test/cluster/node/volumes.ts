/** A pod's volumes as folders, written once before its containers start (the kubelet would also follow later changes). */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { z } from 'zod';
import type { ApiClient } from '../api-client.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import type { Mount } from './environment.ts';
import type { ContainerSpec, Pod, PodSpec, ProjectedSource, Volume } from './pod-spec.ts';
import { MissingSourceError, type PodPlace, readSource, resolveField } from './sources.ts';

export interface VolumeContext {
  api: ApiClient;
  pod: Pod;
  spec: PodSpec;
  place: PodPlace;
  /** The pod's folder. */
  folder: string;
}

/** Where programs in pods look for their ServiceAccount's token. */
const TOKEN_MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Tokens are replaced after this part of their lifetime, as by the kubelet. */
const RENEW_AFTER = 0.8;
const RETRY_MS = 1000;

/**
 * Writes all volumes of the pod.
 *
 * @throws MissingSourceError when a ConfigMap or Secret is not there and not optional
 */
export async function writeVolumes(context: VolumeContext, signal: AbortSignal): Promise<void> {
  for (const volume of context.spec.volumes) {
    mkdirSync(volumeFolder(context.folder, volume.name), { recursive: true });
    for (const source of sourcesOf(volume)) await writeSource(context, volume.name, source, signal);
  }
}

/** Renews the ServiceAccount tokens of all volumes until the signal is aborted. */
export async function renewTokens(
  context: VolumeContext,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  const renewals = context.spec.volumes.flatMap((volume) =>
    sourcesOf(volume)
      .filter(({ serviceAccountToken }) => serviceAccountToken !== undefined)
      .map((source) => renewToken(context, volume.name, source, signal, clock)),
  );
  await Promise.all(renewals);
}

async function renewToken(
  context: VolumeContext,
  volume: string,
  source: ProjectedSource,
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  const lifeMs = (source.serviceAccountToken?.expirationSeconds ?? 0) * 1000;
  let wait = lifeMs * RENEW_AFTER;
  while (!signal.aborted) {
    try {
      await clock.sleep(wait, signal);
      await writeSource(context, volume, source, signal);
      wait = lifeMs * RENEW_AFTER;
    } catch {
      // The API server may be away; the old token still has a fifth of its lifetime.
      wait = RETRY_MS;
    }
  }
}

/** The mounts of a container, including its termination message file. */
export function mountsOf(container: ContainerSpec, podFolder: string): Mount[] {
  const volumes = container.volumeMounts.map(({ name, mountPath, subPath = '' }) => ({
    mountPath,
    hostPath: join(volumeFolder(podFolder, name), subPath),
  }));
  const messageFile = join(containerFolder(podFolder, container.name), 'termination-message');
  return [...volumes, { mountPath: container.terminationMessagePath, hostPath: messageFile }];
}

/** A container's own scratch folder, its home and working directory. */
export function containerFolder(podFolder: string, container: string): string {
  return join(podFolder, 'containers', container);
}

/** Path of a kubeconfig with the ServiceAccount's rights, for containers that mount its token. */
export function kubeconfigOf(container: ContainerSpec, podFolder: string): string | undefined {
  const mount = container.volumeMounts.find(({ mountPath }) => mountPath === TOKEN_MOUNT);
  return mount === undefined ? undefined : kubeconfigFile(podFolder, mount.name);
}

const volumeFolder = (podFolder: string, volume: string) => join(podFolder, 'volumes', volume);
const kubeconfigFile = (podFolder: string, volume: string) => join(podFolder, `${volume}.kubeconfig`);

/** Every kind of volume as a list of projected sources; an emptyDir has none. */
function sourcesOf({ configMap, secret, downwardAPI, projected }: Volume): ProjectedSource[] {
  if (configMap !== undefined) return [{ configMap }];
  if (secret !== undefined) return [{ secret: { ...secret, name: secret.secretName } }];
  if (downwardAPI !== undefined) return [{ downwardAPI }];
  return projected?.sources ?? [];
}

async function writeSource(
  context: VolumeContext,
  volume: string,
  source: ProjectedSource,
  signal: AbortSignal,
): Promise<void> {
  const { api, pod, spec, place, folder } = context;
  const target = volumeFolder(folder, volume);
  for (const kind of ['configMap', 'secret'] as const) {
    const wanted = source[kind];
    if (wanted === undefined) continue;
    const { namespace } = pod.metadata;
    const data = await readSource(api, kind === 'secret' ? 'secret' : 'configmap', namespace, wanted, signal);
    const items = wanted.items ?? [...data.keys()].map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      const value = data.get(key);
      if (value !== undefined) writeFile(target, path, value);
      else if (!wanted.optional) throw new MissingSourceError(`${kind} "${wanted.name}" has no key "${key}"`);
    }
  }
  for (const { path, fieldRef } of source.downwardAPI?.items ?? []) {
    writeFile(target, path, resolveField(fieldRef.fieldPath, pod, spec, place));
  }
  if (source.serviceAccountToken !== undefined) {
    await writeToken(context, volume, source.serviceAccountToken, signal);
  }
}

const TokenRequest = z.object({ status: z.object({ token: z.string() }) });

async function writeToken(
  { api, pod, spec, folder }: VolumeContext,
  volume: string,
  source: NonNullable<ProjectedSource['serviceAccountToken']>,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  const { serviceAccountName: user } = spec;
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: source.audience === undefined ? [] : [source.audience],
      expirationSeconds: source.expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    },
  };
  const answer = await api.create(`/api/v1/namespaces/${namespace}/serviceaccounts/${user}/token`, request, signal);
  const { token } = TokenRequest.parse(answer).status;
  const target = volumeFolder(folder, volume);
  writeFile(target, source.path, token);
  if (source.audience !== undefined) return;
  const { server, certificateAuthority } = api;
  const draft = `${kubeconfigFile(folder, volume)}.new`;
  const tokenFile = join(target, source.path);
  writeKubeconfig(draft, { server, certificateAuthority, user, token, tokenFile, namespace });
  renameSync(draft, kubeconfigFile(folder, volume));
}

/** By rename, so that a reader sees the old content or the new one. */
function writeFile(folder: string, path: string, content: Buffer | string): void {
  const file = join(folder, normalize(`/${path}`));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, content);
  chmodSync(`${file}.new`, 0o600);
  renameSync(`${file}.new`, file);
}
