/** The life of one pod on this node, from its binding to its removal. */

import { rmSync } from 'node:fs';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type ApiClient, ApiError } from '../api-client.ts';
import { sleepUnless } from '../signals.ts';
import type { CrashBackoff } from './container.ts';
import type { Image } from './environment.ts';
import { createPodContainers, type PodContainers } from './pod-containers.ts';
import { createPodReport } from './pod-report.ts';
import { type Pod, type PodSpec, parsePodSpec, UnsupportedPodSpecError } from './pod-spec.ts';
import { MissingSourceError, type PodPlace } from './sources.ts';
import { isTemporary } from './status-writer.ts';
import { renewTokens, type VolumeContext, writeVolumes } from './volumes.ts';

export interface PodContext {
  api: ApiClient;
  place: PodPlace;
  images: Readonly<Record<string, Image>>;
  crashBackoff: CrashBackoff;
  /** Belongs to the pod; deleted when it is gone. */
  folder: string;
  /** Outlives the pod. */
  logFolder: string;
  /** Aborted when the node is gone: nothing is written after that. */
  life: AbortSignal;
  log(line: string): void;
}

export interface PodRunner {
  readonly pod: Pod;
  /** Its processes have ended for good, and its last status is written. */
  readonly ended: Promise<void>;
  /** Applies the newest version of the object; a deletion begins the pod's end. */
  update(pod: Pod): void;
  /** The object is gone from the API server. */
  remove(): void;
  /** Kills every process at once, as a power failure would. */
  crash(): void;
  /** Sends a signal to a container's processes; false when it does not run. */
  signal(container: string, signal: NodeJS.Signals): boolean;
  isRunning(container: string): boolean;
}

/** Time for a pod that is gone from the API server to end, whatever its grace period. */
const REMOVED_GRACE_MS = 1000;
const RETRY_MS = 500;

export function runPod(initial: Pod, context: PodContext): PodRunner {
  const { api, folder, place } = context;
  const { name, namespace, uid } = initial.metadata;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const log = (line: string) => context.log(`${namespace}/${name}: ${line}`);
  const gone = new AbortController();
  const writable = AbortSignal.any([context.life, gone.signal]);
  const onRefused = (error: ApiError) => log(`the status was refused: ${error.message}`);
  const report = createPodReport({ api, path, uid, place, onRefused, signal: writable });
  const ending = new AbortController();
  const grace = createGrace();
  const deletion = Promise.withResolvers<void>();
  let pod = initial;
  let containers: PodContainers | undefined;

  /** Begins or speeds up the end of all containers. */
  async function end(graceMs: number): Promise<void> {
    grace.limit(graceMs);
    ending.abort();
    await containers?.end(grace.expired);
  }

  /** `live` waits for the same end and reports the result. */
  function endInBackground(graceMs: number) {
    end(graceMs).catch(() => undefined);
  }

  async function live(): Promise<void> {
    if (pod.status.startTime !== undefined) {
      throw new LostPodError('The node that ran this pod is gone, and its processes with it');
    }
    const spec = parsePodSpec(pod.spec);
    const volumes = { api, pod, spec, place, folder };
    containers = createPodContainers(volumes, context, report.changed);
    report.watch(containers.facts);
    if (!(await mountVolumes(volumes, ending.signal, report.waitFor))) return;
    const finished = new AbortController();
    const background = [renewTokens(volumes, finished.signal), watchDeadline(spec, finished.signal)];
    await containers.run();
    await end(spec.terminationGracePeriodSeconds * 1000);
    finished.abort();
    await Promise.all(background);
  }

  async function watchDeadline(spec: PodSpec, signal: AbortSignal): Promise<void> {
    if (spec.activeDeadlineSeconds === undefined) return;
    await sleepUnless(signal, spec.activeDeadlineSeconds * 1000);
    if (signal.aborted) return;
    report.fail({
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
    await end(spec.terminationGracePeriodSeconds * 1000);
  }

  async function run(): Promise<void> {
    // An earlier node of this name ended it; only its deletion may be left.
    if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') return;
    try {
      await live();
    } catch (error) {
      const failure = failureOf(error);
      log(`${failure.reason}: ${failure.message}`);
      report.fail(failure);
      await end(0).catch(() => undefined);
    }
    grace.done();
    await report.end();
  }

  function update(next: Pod) {
    pod = next;
    if (pod.metadata.deletionTimestamp === undefined) return;
    deletion.resolve();
    endInBackground((pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000);
  }

  const ended = run();
  void Promise.all([ended, deletion.promise]).then(() => deleteObject(api, path, uid, writable));
  update(initial);
  return {
    get pod() {
      return pod;
    },
    ended,
    update,
    remove() {
      gone.abort();
      endInBackground(REMOVED_GRACE_MS);
      void ended.then(() => rmSync(folder, { recursive: true, force: true }));
    },
    crash() {
      ending.abort();
      containers?.crash();
    },
    signal: (container, signal) => containers?.signal(container, signal) ?? false,
    isRunning(container) {
      const { init = [], main = [] } = containers?.facts() ?? {};
      return [...init, ...main].some(({ name: each, state }) => each === container && state.running !== undefined);
    },
  };
}

/** This node did not start the pod, but an earlier one of its name did. */
class LostPodError extends Error {
  override readonly name = 'LostPodError';
}

function failureOf(error: unknown): { reason: string; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UnsupportedPodSpecError) return { reason: 'UnsupportedPodSpec', message };
  return { reason: error instanceof LostPodError ? 'NodeLost' : 'NodeFailure', message };
}

/** The time left for the pod to end; it can get shorter, never longer. */
function createGrace() {
  const expired = new AbortController();
  let deadline = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  return {
    expired: expired.signal,
    limit(milliseconds: number) {
      const next = systemClock.monotonic() + milliseconds;
      if (next >= deadline) return;
      deadline = next;
      clearTimeout(timer);
      timer = setTimeout(() => expired.abort(), milliseconds);
    },
    done() {
      deadline = Number.NEGATIVE_INFINITY;
      clearTimeout(timer);
    },
  };
}

/** Retries until the sources of all volumes exist; false when the pod ends first. */
async function mountVolumes(
  volumes: VolumeContext,
  ending: AbortSignal,
  onProblem: (problem: string | undefined) => void,
): Promise<boolean> {
  while (!ending.aborted) {
    try {
      await writeVolumes(volumes, ending);
      onProblem(undefined);
      return true;
    } catch (error) {
      if (ending.aborted) break;
      if (!(error instanceof MissingSourceError || error instanceof ApiError)) throw error;
      onProblem(error.message);
      await sleepUnless(ending, RETRY_MS);
    }
  }
  return false;
}

/** Reports to the API server that the pod has ended, upon which it removes the object. */
async function deleteObject(api: ApiClient, path: string, uid: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await api.delete(path, { gracePeriodSeconds: 0, preconditions: { uid } }, signal);
      return;
    } catch (error) {
      if (signal.aborted || !(error instanceof ApiError) || !isTemporary(error)) return;
      await sleepUnless(signal, RETRY_MS);
    }
  }
}
