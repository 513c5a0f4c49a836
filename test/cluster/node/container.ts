/** One container of a pod: a local process that is started, probed, restarted and ended as the kubelet would. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { ApiError } from '../api-client.ts';
import { type Exit, type ManagedProcess, startProcess } from '../processes.ts';
import { type Command, type CommandContext, type Image, resolveCommand, rewritePath } from './environment.ts';
import type { ContainerSpec, RestartPolicy } from './pod-spec.ts';
import { type ContainerState, type ContainerStatus, type Terminated, timestamp } from './pod-status.ts';
import { runPreStop, runProbes } from './probes.ts';
import { MissingSourceError } from './sources.ts';

/** Waits between restarts: none before the first, then from `initialMs`, doubled each time, up to `maxMs`. */
export interface CrashBackoff {
  initialMs: number;
  maxMs: number;
}

/** Steps are init containers that run to their end; sidecars are those that keep running (`restartPolicy: Always`). */
export type Role = 'step' | 'sidecar' | 'main';

export interface ContainerContext extends Omit<CommandContext, 'image'> {
  image: Image | undefined;
  /** Folder of this container's logs, one file `<restart count>.log` per run. */
  logFolder: string;
  crashBackoff: CrashBackoff;
  /** The status is another one than before. */
  onChange(): void;
}

export interface Container {
  readonly name: string;
  status(): ContainerStatus;
  /** Starts it, again and again as its restart policy says; returns when it will not be started any more. */
  run(): Promise<void>;
  /** Resolves when it has passed its startup probe, or never will. */
  readonly startedOnce: Promise<void>;
  /**
   * Ends it for good: preStop hook, SIGTERM, and SIGKILL when `expired` is aborted (2 s after SIGTERM at the earliest).
   * `after` holds the SIGTERM back, not the hook.
   */
  terminate(expired: AbortSignal, after?: Promise<unknown>): Promise<void>;
  /** Sends a signal to its processes; false when none runs. */
  signal(signal: NodeJS.Signals): boolean;
}

const CONFIG_RETRY_MS = 500;
/** What a process gets between SIGTERM and SIGKILL even when the grace period is over (KEP-753). */
const LEAST_GRACE_MS = 2000;
const MESSAGE_BYTES = 4096;

export function createContainer(spec: ContainerSpec, role: Role, context: ContainerContext): Container {
  const policy = restartPolicy(role, context.spec.restartPolicy);
  const stopping = new AbortController();
  const startedOnce = Promise.withResolvers<void>();
  const first = context.spec.initContainers.length === 0 || role !== 'main';
  mkdirSync(context.logFolder, { recursive: true });
  mkdirSync(context.folder, { recursive: true });
  let state: ContainerState = { waiting: { reason: first ? 'ContainerCreating' : 'PodInitializing' } };
  let lastState: ContainerState = {};
  let restartCount = 0;
  let running: { process: ManagedProcess; command: Command } | undefined;
  let [started, ready] = [false, false];

  function update(change: () => void) {
    change();
    context.onChange();
  }

  function enter(next: ContainerState) {
    if (state.terminated !== undefined) lastState = { terminated: state.terminated };
    state = next;
  }

  function wait(reason: string, message?: string) {
    update(() => enter({ waiting: { reason, ...(message === undefined ? {} : { message }) } }));
  }

  /** Retries while something that it refers to is missing; undefined when it is stopped before. */
  async function prepare(): Promise<Command | undefined> {
    while (!stopping.signal.aborted) {
      try {
        if (context.image !== undefined) {
          return await resolveCommand(spec, { ...context, image: context.image }, stopping.signal);
        }
        wait('ErrImageNeverPull', `The embedded node has no entry for image "${spec.image}"`);
        await aborted(stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return undefined;
        if (error instanceof MissingSourceError) wait('CreateContainerConfigError', error.message);
        else if (!(error instanceof ApiError)) throw error;
        await sleepUnless(stopping.signal, CONFIG_RETRY_MS);
      }
    }
    return undefined;
  }

  async function runOnce(): Promise<Terminated | undefined> {
    const command = await prepare();
    if (command === undefined) return undefined;
    const messageFile = rewritePath(spec.terminationMessagePath, command.mounts);
    writeFileSync(messageFile, '');
    const startedAt = timestamp(systemClock.now());
    let process: ManagedProcess;
    try {
      process = await startProcess({ ...command, name: String(restartCount), folder: context.logFolder });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { exitCode: 128, reason: 'StartError', message, startedAt, finishedAt: timestamp(systemClock.now()) };
    }
    update(() => {
      running = { process, command };
      enter({ running: { startedAt } });
    });
    // `terminate` came while it was being started and saw nothing to end.
    if (stopping.signal.aborted) void process.stop(LEAST_GRACE_MS);
    const probing = new AbortController();
    const probes = runProbes(target(command), reports(process), probing.signal);
    const exit = await process.exited;
    probing.abort();
    await probes;
    const exitCode = containerExitCode(exit);
    const message = await terminationMessage(spec, messageFile, exitCode, process);
    const finishedAt = timestamp(systemClock.now());
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    return { exitCode, reason, ...(message === '' ? {} : { message }), startedAt, finishedAt };
  }

  const target = (command: Command) => ({ container: spec, podIP: context.place.podIP, command });

  const reports = (process: ManagedProcess) => ({
    started: () =>
      update(() => {
        started = true;
        startedOnce.resolve();
      }),
    ready: (value: boolean) =>
      update(() => {
        ready = value;
      }),
    failed: (_reason: string, graceSeconds: number | undefined) =>
      void process.stop((graceSeconds ?? context.spec.terminationGracePeriodSeconds) * 1000),
  });

  return {
    name: spec.name,
    startedOnce: startedOnce.promise,
    status: () => ({
      name: spec.name,
      image: spec.image,
      imageID: running === undefined ? '' : `process://${running.command.command}`,
      ...(running === undefined ? {} : { containerID: `process://${running.process.pid}` }),
      state,
      lastState,
      // A step that has done its work counts as ready.
      ready: ready || (role === 'step' && state.terminated?.exitCode === 0),
      started,
      restartCount,
    }),

    async run() {
      const backoff = createBackoff(context.crashBackoff);
      for (;;) {
        const startTime = systemClock.monotonic();
        const terminated = await runOnce();
        update(() => {
          [started, ready] = [false, false];
          if (terminated !== undefined) enter({ terminated });
        });
        if (stopping.signal.aborted || terminated === undefined || !restarts(policy, terminated.exitCode)) break;
        const delay = backoff(systemClock.monotonic() - startTime);
        if (delay > 0) {
          const seconds = `${delay / 1000}s`;
          wait('CrashLoopBackOff', `back-off ${seconds} restarting failed container=${spec.name}`);
        }
        await sleepUnless(stopping.signal, delay);
        if (stopping.signal.aborted) break;
        restartCount++;
      }
      startedOnce.resolve();
      if (state.waiting !== undefined) {
        update(() => {
          state = lastState.terminated === undefined ? neverRan() : lastState;
          lastState = {};
        });
      }
    },

    async terminate(expired, after = Promise.resolve()) {
      stopping.abort();
      if (running === undefined || running.process.exit !== undefined) return;
      const { process, command } = running;
      const hook = spec.lifecycle?.preStop;
      if (hook !== undefined) {
        const hookEnd = AbortSignal.any([expired, abortedWhen(process.exited)]);
        await runPreStop(target(command), hook, hookEnd);
      }
      await Promise.race([after, aborted(expired), process.exited]);
      // After SIGTERM `stop` sends SIGKILL by itself at the latest; the pod's grace period usually ends before.
      const end = process.stop(LONGEST_GRACE_MS);
      const killed = aborted(expired).then(() => sleepUnless(abortedWhen(process.exited), LEAST_GRACE_MS));
      await Promise.race([end, killed]);
      process.signal('SIGKILL');
      await end;
    },

    signal: (signal) => running?.process.signal(signal) ?? false,
  };
}

/** `setTimeout`'s limit. */
const LONGEST_GRACE_MS = 2 ** 31 - 1;

function restartPolicy(role: Role, ofPod: RestartPolicy): RestartPolicy {
  if (role === 'sidecar') return 'Always';
  return role === 'step' && ofPod === 'Always' ? 'OnFailure' : ofPod;
}

function restarts(policy: RestartPolicy, exitCode: number): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** The kubelet's verdict on a container that it cannot say anything about (status_manager.go). */
function neverRan(): ContainerState {
  const message = 'The container could not be located when the pod was terminated';
  return {
    terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message, finishedAt: timestamp(systemClock.now()) },
  };
}

function createBackoff({ initialMs, maxMs }: CrashBackoff): (ranForMs: number) => number {
  let next = 0;
  return (ranForMs) => {
    // Forgotten after it has run well for a while.
    if (ranForMs > 2 * maxMs) next = 0;
    const delay = next;
    next = next === 0 ? initialMs : Math.min(next * 2, maxMs);
    return delay;
  };
}

function containerExitCode({ code, signal }: Exit): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

async function terminationMessage(
  spec: ContainerSpec,
  file: string,
  exitCode: number,
  process: ManagedProcess,
): Promise<string> {
  const written = readFileSync(file).subarray(0, MESSAGE_BYTES).toString('utf8');
  if (written !== '' || exitCode === 0 || spec.terminationMessagePolicy === 'File') return written;
  return (await process.tail(80)).slice(-MESSAGE_BYTES / 2);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Sleeps, shorter when the signal is aborted. */
async function sleepUnless(signal: AbortSignal, milliseconds: number): Promise<void> {
  await systemClock.sleep(milliseconds, signal).catch(() => undefined);
}

function abortedWhen(promise: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  void promise.then(() => controller.abort());
  return controller.signal;
}
