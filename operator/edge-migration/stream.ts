import type { PodCoverage } from '../coverage/decide.ts';
import type { LivingApplier } from './appliers.ts';
import type { ClockFact } from './clock-skew.ts';
import type { CaptureFact, ReplayFact } from './facts.ts';
import type { UsageFact } from './usage/days.ts';

/** What sidecars and appliers report, as far as it is known now. */
export interface StreamView {
  /** @param projectId leaves out the gaps that are not about this project; all when left out */
  capture(projectId?: number): CaptureFact;
  replay(projectId: number): ReplayFact;
  /** Who calls Core for the project; undefined while that cannot be read. */
  usage(projectId: number): UsageFact | undefined;
  /** The present time by the clock of NATS, epoch milliseconds; undefined until it is known. */
  now(): number | undefined;
  /** The clocks of living sidecars and appliers, and of this operator. */
  clocks(): readonly ClockFact[];
  /** How many appliers reported recently and may apply; undefined when that is not known. */
  appliers(): number | undefined;
  /** Each process individually; undefined when that is not known. */
  instances(): Instances | undefined;
  /** Follows the reports until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** The processes that take part in capture and replay, as they report. */
export interface Instances {
  readonly coreApiPods: readonly PodCoverage[];
  readonly appliers: readonly Pick<LivingApplier, 'instance' | 'release' | 'applying' | 'outage'>[];
}

/** For an installation without capture. */
export const noStream: StreamView = {
  capture: () => ({ kind: 'disabled' }),
  replay: () => ({ kind: 'disabled' }),
  usage: () => undefined,
  appliers: () => undefined,
  instances: () => undefined,
  now: () => undefined,
  clocks: () => [],
  run: async () => {},
};
