/** One container of a pod: a local process that is started, probed, restarted and stopped as by the kubelet. */
import { mkdirSync } from 'node:fs';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { ApiError } from '../api-client.ts';
import type { ManagedProcess } from '../processes.ts';
import { aborted, abortedWhen, sleepUnless } from '../signals.ts';
import { createRecord } from './container-record.ts';
import { runContainer } from './container-run.ts';
import { type Command, type CommandContext, type Image, resolveCommand } from './environment.ts';
import type { ContainerSpec, RestartPolicy } from './pod-spec.ts';
import type { ContainerStatus, Terminated } from './pod-status.ts';
import { runPreStop } from './probes.ts';
import { MissingSourceError } from './sources.ts';

/** Waits between restarts: none before the first, then from `initialMs`, doubled each time, up to `maxMs`. */
export interface CrashBackoff {
  initialMs: number;
  maxMs: number;
}

/** Steps are init containers that run to completion; sidecars keep running (`restartPolicy: Always`). */
export type Role = 'step' | 'sidecar' | 'main';

export interface ContainerContext extends Omit<CommandContext, 'image'> {
  image: Image | undefined;
  /** Folder of this container's logs, one file `<restart count>.log` per run. */
  logFolder: string;
  crashBackoff: CrashBackoff;
  /** Called when the status has changed. */
  onChange(): void;
}

export interface Container {
  readonly name: string;
  status(): ContainerStatus;
  /** Starts it repeatedly according to its restart policy; returns when it will not be started any more. */
  run(): Promise<void>;
  /** Resolves when it has passed its startup probe, or never will. */
  readonly startedOnce: Promise<void>;
  /**
   * Ends it for good: preStop hook, SIGTERM, and SIGKILL when `expired` is aborted (2 s after SIGTERM at the earliest).
   * `after` delays the SIGTERM, not the hook.
   */
  terminate(expired: AbortSignal, after?: Promise<unknown>): Promise<void>;
  /** Sends a signal to its processes; false when none runs. */
  signal(signal: NodeJS.Signals): boolean;
}

const CONFIG_RETRY_MS = 500;
/** Time between SIGTERM and SIGKILL even when the grace period is over (KEP-753). */
const LEAST_GRACE_MS = 2000;
/** Until the pod's grace period ends it; `setTimeout`'s limit. */
const NO_LIMIT_MS = 2 ** 31 - 1;

export function createContainer(spec: ContainerSpec, role: Role, context: ContainerContext): Container {
  const policy = restartPolicy(role, context.spec.restartPolicy);
  const stopping = new AbortController();
  const startedOnce = Promise.withResolvers<void>();
  let running: { process: ManagedProcess; command: Command } | undefined;
  const waitsForInit = role === 'main' && context.spec.initContainers.length > 0;
  const record = createRecord({
    name: spec.name,
    image: spec.image,
    waitingReason: waitsForInit ? 'PodInitializing' : 'ContainerCreating',
    readyWhenDone: role === 'step',
    process: () => running && { pid: running.process.pid, command: running.command.command },
    onChange: context.onChange,
  });
  mkdirSync(context.logFolder, { recursive: true });
  mkdirSync(context.folder, { recursive: true });

  /** Retries while something that it refers to is missing; undefined when it is stopped first. */
  async function prepare(): Promise<Command | undefined> {
    while (!stopping.signal.aborted) {
      try {
        if (context.image !== undefined) {
          return await resolveCommand(spec, { ...context, image: context.image }, stopping.signal);
        }
        record.wait('ErrImageNeverPull', `The embedded node has no entry for image "${spec.image}"`);
        await aborted(stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) break;
        if (error instanceof MissingSourceError) record.wait('CreateContainerConfigError', error.message);
        else if (!(error instanceof ApiError)) throw error;
        await sleepUnless(stopping.signal, CONFIG_RETRY_MS);
      }
    }
    return undefined;
  }

  async function runOnce(): Promise<Terminated | undefined> {
    const command = await prepare();
    if (command === undefined) return undefined;
    const { logFolder, place } = context;
    const options = { spec, command, podIP: place.podIP, logFolder, number: record.restartCount };
    return await runContainer({
      ...options,
      onRunning(process, startedAt) {
        running = { process, command };
        record.enter({ running: { startedAt } });
        // `terminate` was called during the start and found nothing to stop.
        if (stopping.signal.aborted) void process.stop(LEAST_GRACE_MS);
        return {
          started() {
            record.setStarted(true);
            startedOnce.resolve();
          },
          ready: record.setReady,
          failed: (graceSeconds = context.spec.terminationGracePeriodSeconds) => void process.stop(graceSeconds * 1000),
        };
      },
    });
  }

  async function run(): Promise<void> {
    const backoff = createBackoff(context.crashBackoff);
    for (;;) {
      const startTime = systemClock.monotonic();
      const terminated = await runOnce();
      if (terminated === undefined) break;
      record.enter({ terminated });
      if (stopping.signal.aborted || !restarts(policy, terminated.exitCode)) break;
      const delay = backoff(systemClock.monotonic() - startTime);
      if (delay > 0) {
        record.wait('CrashLoopBackOff', `back-off ${delay / 1000}s restarting failed container=${spec.name}`);
      }
      await sleepUnless(stopping.signal, delay);
      if (stopping.signal.aborted) break;
      record.restart();
    }
    startedOnce.resolve();
    record.settle();
  }

  async function terminate(expired: AbortSignal, after: Promise<unknown> = Promise.resolve()): Promise<void> {
    stopping.abort();
    if (running === undefined || running.process.exit !== undefined) return;
    const { process, command } = running;
    const exited = abortedWhen(process.exited);
    const hook = spec.lifecycle?.preStop;
    if (hook !== undefined) {
      const target = { container: spec, podIP: context.place.podIP, command };
      await runPreStop(target, hook, AbortSignal.any([expired, exited]));
    }
    await Promise.race([after, aborted(expired), process.exited]);
    const end = process.stop(NO_LIMIT_MS);
    await Promise.race([end, aborted(expired).then(() => sleepUnless(exited, LEAST_GRACE_MS))]);
    process.signal('SIGKILL');
    await end;
  }

  return {
    name: spec.name,
    status: record.status,
    run,
    startedOnce: startedOnce.promise,
    terminate,
    signal: (signal) => running?.process.signal(signal) ?? false,
  };
}

function restartPolicy(role: Role, ofPod: RestartPolicy): RestartPolicy {
  if (role === 'sidecar') return 'Always';
  return role === 'step' && ofPod === 'Always' ? 'OnFailure' : ofPod;
}

function restarts(policy: RestartPolicy, exitCode: number): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

function createBackoff({ initialMs, maxMs }: CrashBackoff): (ranForMs: number) => number {
  let next = 0;
  return (ranForMs) => {
    // Reset after it has run well for a while.
    if (ranForMs > 2 * maxMs) next = 0;
    const delay = next;
    next = next === 0 ? initialMs : Math.min(next * 2, maxMs);
    return delay;
  };
}
