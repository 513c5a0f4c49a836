import { LeadershipLostError } from '@edge-migration/kubernetes/errors.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { operatorConfiguration } from '@edge-migration/operator/config.ts';
import { runOperator } from '@edge-migration/operator/process.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import type { World } from './operator-world.ts';

/** An operator in this process, so that it can have its own clock; restarted when it ends, as by a kubelet. */
export interface OperatorRun extends AsyncDisposable {
  /** How often it ended because it lost the Lease. */
  readonly losses: number;
  /** Shuts it down in an orderly way. */
  stop(): Promise<void>;
}

export interface OperatorRunSettings {
  readonly kubeconfig: string;
  readonly clock?: Clock;
  readonly settings?: Readonly<Record<string, string>>;
}

const logger = createLogger('operator', 'error');

export function runOperatorHere(
  world: World,
  { kubeconfig, clock = systemClock, settings }: OperatorRunSettings,
): OperatorRun {
  const stopping = new AbortController();
  const { signal } = stopping;
  const configuration = parseEnvironment(operatorConfiguration, world.environment(settings));
  let losses = 0;

  async function supervise() {
    while (!signal.aborted) {
      try {
        await runOperator({ configuration, kubeConfig: loadKubeConfig(kubeconfig), clock, logger, signal });
      } catch (error) {
        if (!(error instanceof LeadershipLostError)) throw error;
        logger.debug({ error: errorMessage(error) }, 'started again');
        losses += 1;
      }
    }
  }

  const running = supervise();
  const stop = async () => {
    stopping.abort(new Error('stopped'));
    await running;
  };
  return {
    get losses() {
      return losses;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

export interface FastClock extends Clock {
  /** Makes it this many times as fast as the system's from now on, including pending sleeps. */
  run(factor: number): void;
}

/** The interval at which sleeps check the time: the clock may have become faster. */
const POLL_MS = 50;

/** A clock that can be sped up, so that half an hour passes in half a minute. */
export function createFastClock(initialFactor: number): FastClock {
  const offset = systemClock.now() - systemClock.monotonic();
  let factor = initialFactor;
  let from = { real: systemClock.monotonic(), fast: systemClock.monotonic() };
  const monotonic = () => from.fast + (systemClock.monotonic() - from.real) * factor;
  return {
    monotonic,
    now: () => Math.floor(offset + monotonic()),
    async sleep(milliseconds, signal) {
      const end = monotonic() + milliseconds;
      for (let left = milliseconds; left > 0; left = end - monotonic()) {
        await systemClock.sleep(Math.min(left / factor, POLL_MS), signal);
      }
    },
    run(next) {
      from = { real: systemClock.monotonic(), fast: monotonic() };
      factor = next;
    },
  };
}

/** Another machine's clock that is wrong by this much; time passes there as it does here. */
export function createSkewedClock(milliseconds: number): Clock {
  return { ...systemClock, now: () => systemClock.now() + milliseconds };
}
