/** Probes and hooks of a container. */
import { execFile } from 'node:child_process';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { probeHttp, probeTcp } from '../probe.ts';
import { type Command, expand, rewriteArgument } from './environment.ts';
import type { Action, ContainerSpec, PreStop, Probe } from './pod-spec.ts';

export interface ProbeTarget {
  container: ContainerSpec;
  podIP: string;
  /** The container's resolved command, whose environment and folder `exec` actions share. */
  command: Command;
}

export interface ProbeReports {
  started(): void;
  ready(ready: boolean): void;
  /** The container must be killed; with the grace period of the probe that failed, if it has its own. */
  failed(graceSeconds: number | undefined): void;
}

/** Between two readiness probes of a container that is not ready, if its period is longer. */
const UNREADY_PERIOD_MS = 1000;

/** Runs a container's probes until the signal is aborted: the startup probe first, then liveness and readiness. */
export async function runProbes(target: ProbeTarget, reports: ProbeReports, signal: AbortSignal): Promise<void> {
  const { startupProbe, livenessProbe, readinessProbe } = target.container;
  const kill = (probe: Probe) => reports.failed(probe.terminationGracePeriodSeconds);
  try {
    if (startupProbe !== undefined && !(await firstVerdict(target, startupProbe, signal))) {
      return kill(startupProbe);
    }
    reports.started();
    if (readinessProbe === undefined) reports.ready(true);
    await Promise.all([
      readinessProbe && watchReadiness(target, readinessProbe, signal, reports),
      livenessProbe &&
        watchProbe(target, livenessProbe, signal, (healthy) => {
          if (!healthy) kill(livenessProbe);
        }),
    ]);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Whether the probe reaches its success threshold before its failure threshold. */
async function firstVerdict(target: ProbeTarget, probe: Probe, signal: AbortSignal): Promise<boolean> {
  for await (const healthy of verdicts(target, probe, signal)) return healthy;
  return false;
}

async function watchProbe(
  target: ProbeTarget,
  probe: Probe,
  signal: AbortSignal,
  report: (healthy: boolean) => void,
): Promise<void> {
  for await (const healthy of verdicts(target, probe, signal)) report(healthy);
}

/** Like the kubelet, it probes a container that is not ready more often, so that it becomes ready sooner. */
async function watchReadiness(target: ProbeTarget, probe: Probe, signal: AbortSignal, reports: ProbeReports) {
  let isReady = false;
  const periodMs = () =>
    isReady ? probe.periodSeconds * 1000 : Math.min(probe.periodSeconds * 1000, UNREADY_PERIOD_MS);
  for await (const healthy of verdicts(target, probe, signal, periodMs)) {
    isReady = healthy;
    reports.ready(healthy);
  }
}

/** Yields each time that a threshold is reached. */
async function* verdicts(
  target: ProbeTarget,
  probe: Probe,
  signal: AbortSignal,
  periodMs = () => probe.periodSeconds * 1000,
): AsyncGenerator<boolean> {
  let streak = { healthy: true, length: 0 };
  await systemClock.sleep(probe.initialDelaySeconds * 1000, signal);
  for (;;) {
    const healthy = await check(target, probe, probe.timeoutSeconds * 1000, signal);
    signal.throwIfAborted();
    streak = { healthy, length: healthy === streak.healthy ? streak.length + 1 : 1 };
    const threshold = healthy ? probe.successThreshold : probe.failureThreshold;
    if (streak.length === threshold) yield healthy;
    await systemClock.sleep(periodMs(), signal);
  }
}

async function check(target: ProbeTarget, action: Action, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const { exec, httpGet, tcpSocket } = action;
  if (exec !== undefined) return await execute(target.command, exec.command, timeoutMs, signal);
  if (tcpSocket !== undefined) {
    return await probeTcp(tcpSocket.host ?? target.podIP, portNumber(tcpSocket.port, target.container), timeoutMs);
  }
  if (httpGet === undefined) return true;
  const host = httpGet.host ?? target.podIP;
  const url = `${httpGet.scheme.toLowerCase()}://${host}:${portNumber(httpGet.port, target.container)}`;
  const headers = Object.fromEntries(httpGet.httpHeaders.map(({ name, value }) => [name, value]));
  try {
    const { status } = await probeHttp(new URL(httpGet.path, url).href, {
      timeoutMs,
      headers: { 'user-agent': 'kube-probe/1.34', ...headers },
    });
    return status >= 200 && status < 400;
  } catch {
    return false;
  }
}

/** A number, or the name of one of the container's ports. */
function portNumber(port: number | string, container: ContainerSpec): number {
  if (typeof port === 'number') return port;
  return container.ports.find(({ name }) => name === port)?.containerPort ?? Number.parseInt(port, 10);
}

/** Runs the container's preStop hook to its end or until the signal is aborted; its failure changes nothing. */
export async function runPreStop(target: ProbeTarget, hook: PreStop, signal: AbortSignal): Promise<void> {
  const never = 2 ** 31 - 1;
  try {
    if (hook.sleep !== undefined) await systemClock.sleep(hook.sleep.seconds * 1000, signal);
    else await check(target, hook, never, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function execute(command: Command, argv: string[], timeout: number, signal: AbortSignal): Promise<boolean> {
  const variables = new Map(Object.entries(command.env));
  const [file = '', ...args] = argv.map((argument) => rewriteArgument(expand(argument, variables), command.mounts));
  return new Promise((resolve) => {
    execFile(file, args, { env: command.env, cwd: command.cwd, timeout, killSignal: 'SIGKILL', signal }, (error) =>
      resolve(error === null),
    );
  });
}
