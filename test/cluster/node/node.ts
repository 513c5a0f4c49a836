/** A Kubernetes node, scheduler included, that runs pods as local processes. */

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ApiClient, ApiError, connectApi } from '../api-client.ts';
import { createFolder, removeFolder } from '../reaper.ts';
import { sleepUnless } from '../signals.ts';
import type { CrashBackoff } from './container.ts';
import type { Image } from './environment.ts';
import { type LogsServer, serveLogs } from './logs-server.ts';
import { type PodRunner, runPod } from './pod.ts';
import type { Pod } from './pod-spec.ts';
import { watchPods } from './pod-watch.ts';
import { register, sendHeartbeats, unregister } from './registration.ts';
import { isTemporary } from './status-writer.ts';

export type { CrashBackoff } from './container.ts';

/** Images by name, with or without tag; others do not run (`ErrImageNeverPull`). */
export type Images = Readonly<Record<string, Image>>;

export interface NodeOptions {
  /** Path of an admin's kubeconfig. */
  kubeconfig: string;
  images: Images;
  name?: string;
  /** Shorter than the kubelet's 10 s to 5 min by default. */
  crashBackoff?: CrashBackoff;
  /** Files for serving `kubectl logs`, which does not work without them. */
  tls?: { key: string; certificate: string } | undefined;
  signal?: AbortSignal | undefined;
}

export interface ClusterNode extends AsyncDisposable {
  readonly name: string;
  /** The container's output so far to standard output and error in its current (or last) run. */
  logs(namespace: string, pod: string, container: string, options?: { previous?: boolean }): Promise<string>;
  /** Sends a signal to all processes of a container; @throws when it does not run. */
  signal(namespace: string, pod: string, container: string, signal: NodeJS.Signals): void;
  /** Like pulling the plug: every process is killed, no status is written, no heartbeat sent. The Node object stays. */
  disappear(): Promise<void>;
  /** Kills all pods' processes and takes the node out of the cluster. Safe to repeat. */
  stop(): Promise<void>;
}

const HOST_IP = '127.0.0.1';
const DEFAULT_BACKOFF: CrashBackoff = { initialMs: 250, maxMs: 5000 };
const RETRY_MS = 500;

/** Registers a node and runs its pods; returns when it is ready. Survives restarts of the API server. */
export async function startNode(options: NodeOptions): Promise<ClusterNode> {
  const { images, name = 'embedded-node', crashBackoff = DEFAULT_BACKOFF } = options;
  const api = connectApi(options.kubeconfig);
  const folder = createFolder('node');
  const life = new AbortController();
  const pods = new Map<string, PodRunner>();
  const allocateIP = createAddresses();
  const log = (line: string) => void appendFile(join(folder, 'node.log'), `${line}\n`);
  const logs = createLogIndex(folder, (namespace, pod) => latest(pods, namespace, pod));
  const listed = Promise.withResolvers<void>();

  function onPod(pod: Pod) {
    const { uid, namespace, name: podName } = pod.metadata;
    if (isUnbound(pod)) return void bind(api, pod, name, life.signal);
    if (pod.spec.nodeName !== name) return;
    const known = pods.get(uid);
    if (known !== undefined) return known.update(pod);
    const context = {
      ...{ api, images, crashBackoff, log, life: life.signal },
      place: { podIP: allocateIP(), hostIP: HOST_IP, nodeName: name },
      folder: join(folder, 'pods', uid),
      logFolder: join(folder, 'logs', `${namespace}_${podName}_${uid}`),
    };
    mkdirSync(context.folder, { recursive: true });
    pods.set(uid, runPod(pod, context));
  }

  let background: Promise<unknown> = Promise.resolve();
  let logsServer: LogsServer | undefined;

  async function disappear() {
    life.abort();
    for (const runner of pods.values()) runner.crash();
    await Promise.all([background, ...[...pods.values()].map(({ ended }) => ended)]);
    await logsServer?.close();
  }

  let stopped: Promise<void> | undefined;

  function stop(): Promise<void> {
    stopped ??= (async () => {
      await using stack = new AsyncDisposableStack();
      stack.defer(() => removeFolder(folder));
      stack.defer(() => api.close());
      stack.defer(() => unregister(api, name));
      stack.defer(disappear);
    })();
    return stopped;
  }

  try {
    logsServer = options.tls && (await serveLogs(logs, options.tls));
    const signal = options.signal ?? life.signal;
    await register(api, { name, hostIP: HOST_IP, kubeletPort: logsServer?.port }, signal);
    const onGone = (uid: string) => pods.get(uid)?.remove();
    background = Promise.all([
      watchPods(api, { onPod, onGone, onListed: listed.resolve }, life.signal),
      sendHeartbeats(api, name, life.signal),
    ]);
    await Promise.race([listed.promise, background]);
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    name,
    async logs(namespace, pod, container, { previous = false } = {}) {
      const file = logs.logFile(namespace, pod, container, previous);
      if (file === undefined) throw new Error(`There is no such log of ${namespace}/${pod}/${container}`);
      return await readFile(file, 'utf8');
    },
    signal(namespace, pod, container, signal) {
      const runner = latest(pods, namespace, pod);
      if (runner?.signal(container, signal) !== true) throw new Error(`${namespace}/${pod}/${container} does not run`);
    },
    disappear,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The youngest pod of this name that the node has run, gone ones included. */
function latest(pods: ReadonlyMap<string, PodRunner>, namespace: string, name: string): PodRunner | undefined {
  return [...pods.values()].findLast(({ pod }) => pod.metadata.name === name && pod.metadata.namespace === namespace);
}

function createLogIndex(folder: string, find: (namespace: string, pod: string) => PodRunner | undefined) {
  return {
    logFile(namespace: string, pod: string, container: string, previous: boolean): string | undefined {
      const uid = find(namespace, pod)?.pod.metadata.uid;
      const runs = join(folder, 'logs', `${namespace}_${pod}_${uid}`, container);
      if (uid === undefined || !existsSync(runs)) return undefined;
      const numbers = readdirSync(runs).map((file) => Number.parseInt(file, 10));
      const wanted = Math.max(...numbers) - (previous ? 1 : 0);
      return numbers.includes(wanted) ? join(runs, `${wanted}.log`) : undefined;
    },
    isRunning: (namespace: string, pod: string, container: string) =>
      find(namespace, pod)?.isRunning(container) ?? false,
  };
}

/**
 * Loopback addresses for pods, 127.x.y.1 and up with x and y specific to the node, so that concurrent clusters
 * are unlikely to collide. Reused only after all others have been used.
 */
function createAddresses(): () => string {
  const pick = () => 1 + Math.floor(Math.random() * 254);
  const prefix = `127.${pick()}.${pick()}`;
  let last = 0;
  return () => {
    last = (last % 254) + 1;
    return `${prefix}.${last}`;
  };
}

function isUnbound({ metadata, spec, status }: Pod): boolean {
  const open = spec.nodeName === undefined && metadata.deletionTimestamp === undefined && status.phase === 'Pending';
  return open && spec.schedulingGates.length === 0;
}

/** Binds the pod to this node, unless another was faster or it is gone. */
async function bind(api: ApiClient, pod: Pod, node: string, signal: AbortSignal): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, uid },
    target: { apiVersion: 'v1', kind: 'Node', name: node },
  };
  while (!signal.aborted) {
    try {
      await api.create(`/api/v1/namespaces/${namespace}/pods/${name}/binding`, binding, signal);
      return;
    } catch (error) {
      if (signal.aborted || !(error instanceof ApiError) || !isTemporary(error)) return;
      await sleepUnless(signal, RETRY_MS);
    }
  }
}
