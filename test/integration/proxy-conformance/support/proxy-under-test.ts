import type { ForwardedPolicy } from '@edge-migration/replay-sidecar/capture/proxy/forwarding.ts';
import type {
  BodyExtent,
  Capture,
  CaptureHook,
  CaptureOutcome,
  RequestHead,
} from '@edge-migration/replay-sidecar/capture/proxy/hook.ts';
import type { ProxyLimits } from '@edge-migration/replay-sidecar/capture/proxy/limits.ts';
import { createProxy, type ReverseProxy } from '@edge-migration/replay-sidecar/capture/proxy/proxy.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createMetrics } from '@edge-migration/runtime/metrics.ts';

export interface ProxyUnderTest extends AsyncDisposable {
  readonly port: number;
  readonly proxy: ReverseProxy;
  /** Sum of a metric's samples whose labels contain these. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
}

export interface ProxySettings {
  readonly upstreamPort: number;
  readonly hook?: CaptureHook;
  readonly limits?: Partial<ProxyLimits>;
  readonly forwarded?: ForwardedPolicy;
  readonly clock?: Clock;
}

export const PASS_ALL: CaptureHook = { begin: () => undefined, missed: () => {} };

export async function startProxy(settings: ProxySettings): Promise<ProxyUnderTest> {
  const metrics = createMetrics();
  const proxy = createProxy({
    upstream: { host: '127.0.0.1', port: settings.upstreamPort },
    capture: settings.hook ?? PASS_ALL,
    clock: settings.clock ?? systemClock,
    logger: createLogger('test', 'silent'),
    metrics,
    limits: settings.limits ?? {},
    ...(settings.forwarded === undefined ? {} : { forwarded: settings.forwarded }),
  });
  const { port } = await proxy.listen({ host: '127.0.0.1', port: 0 });
  return {
    port,
    proxy,
    async metric(name, labels = {}) {
      const metric = metrics.list.find((found) => found.name === `edge_migration_proxy_${name}`);
      return Object.entries(metric?.read() ?? {})
        .filter(([value]) => Object.values(labels).every((wanted) => wanted === value))
        .reduce((sum, [, number]) => sum + number, 0);
    },
    [Symbol.asyncDispose]: () => proxy.stop(0),
  };
}

/** One captured request as seen by the hook. */
export interface CapturedCall {
  readonly head: RequestHead;
  intent?: { readonly body: string | undefined; readonly extent: BodyExtent };
  outcome?: CaptureOutcome;
  readonly finished: Promise<CaptureOutcome>;
}

export interface RecordingHook extends CaptureHook {
  readonly calls: CapturedCall[];
  readonly misses: { readonly stage: string; readonly error: unknown }[];
}

/** Captures every request and records the hook's calls; `overrides` replace parts of the capture. */
export function createRecordingHook(
  overrides: (call: CapturedCall) => Partial<Capture> = () => ({}),
  wanted: (head: RequestHead) => boolean = () => true,
): RecordingHook {
  const calls: CapturedCall[] = [];
  const misses: { stage: string; error: unknown }[] = [];
  return {
    calls,
    misses,
    begin(head) {
      if (!wanted(head)) return undefined;
      const { promise, resolve } = Promise.withResolvers<CaptureOutcome>();
      const call: CapturedCall = { head, finished: promise };
      calls.push(call);
      return {
        needsBody: true,
        needsResponseBody: true,
        intent(body, extent) {
          if (call.intent !== undefined) throw new Error('intent was called twice');
          if (call.outcome !== undefined) throw new Error('intent was called after finish');
          call.intent = { body: body?.toString('latin1'), extent };
        },
        finish(outcome) {
          if (call.outcome !== undefined) throw new Error('finish was called twice');
          call.outcome = outcome;
          resolve(outcome);
        },
        ...overrides(call),
      };
    },
    missed: (_head, stage, error) => void misses.push({ stage, error }),
  };
}
