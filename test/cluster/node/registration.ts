/** The node as the cluster sees it: its Node object and the Lease that shows that it is alive. */

import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type ApiClient, ApiError } from '../api-client.ts';
import { sleepUnless } from '../signals.ts';
import { timestamp } from './pod-status.ts';

export interface Registration {
  name: string;
  hostIP: string;
  /** Where the API server fetches logs from. */
  kubeletPort: number | undefined;
}

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const LEASE_SECONDS = 40;
const HEARTBEAT_MS = 10_000;

/** Creates the Node and sends its first heartbeat. */
export async function register(api: ApiClient, registration: Registration, signal: AbortSignal): Promise<void> {
  const { name } = registration;
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': process.arch };
  await createIfAbsent(
    api,
    '/api/v1/nodes',
    { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: { taints: [] } },
    signal,
  );
  const status = nodeStatus(registration);
  await api.patch(`/api/v1/nodes/${name}/status`, 'strategic-merge', { status }, signal);
  await createIfAbsent(
    api,
    LEASES,
    {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime() },
    },
    signal,
  );
}

/** Renews the Lease until the signal is aborted, even while the API server is failing. */
export async function sendHeartbeats(api: ApiClient, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleepUnless(signal, HEARTBEAT_MS);
    if (signal.aborted) return;
    await api.patch(`${LEASES}/${name}`, 'merge', { spec: { renewTime: microTime() } }, signal).catch((error) => {
      if (!signal.aborted && !(error instanceof ApiError)) throw error;
    });
  }
}

/** Removes the node from the cluster. */
export async function unregister(api: ApiClient, name: string): Promise<void> {
  for (const path of [`/api/v1/nodes/${name}`, `${LEASES}/${name}`]) {
    await api.delete(path).catch((error) => {
      if (!(error instanceof ApiError)) throw error;
    });
  }
}

async function createIfAbsent(api: ApiClient, path: string, body: object, signal: AbortSignal): Promise<void> {
  await api.create(path, body, signal).catch((error) => {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  });
}

function nodeStatus({ name, hostIP, kubeletPort }: Registration): object {
  const now = timestamp(systemClock.now());
  const resources = { cpu: '64', memory: '256Gi', pods: '1000', 'ephemeral-storage': '1Ti' };
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: 'InternalIP', address: hostIP },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'EmbeddedNodeReady',
        message: 'Pods run as local processes',
        lastHeartbeatTime: now,
        lastTransitionTime: now,
      },
    ],
    nodeInfo: {
      architecture: process.arch,
      operatingSystem: 'linux',
      kubeletVersion: 'embedded',
      kubeProxyVersion: '',
      containerRuntimeVersion: 'process://1',
      kernelVersion: '',
      osImage: 'local processes',
      machineID: name,
      systemUUID: name,
      bootID: name,
    },
    ...(kubeletPort === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } }),
  };
}

/** Leases require exactly six digits. */
function microTime(): string {
  return new Date(systemClock.now()).toISOString().replace(/Z$/, '000Z');
}
