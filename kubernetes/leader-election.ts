import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { LEASE } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import type { CallOptions, KubernetesClient } from './client.ts';
import { abortable } from './deadline.ts';
import { AlreadyExistsError, ConflictError, LeadershipLostError, NotFoundError } from './errors.ts';
import { Lease, type LeaseBefore } from './lease.ts';
import { runtimeMetrics } from './metrics.ts';

/** One term of leading. */
export interface Leadership {
  /** Aborted when the lease is lost (reason: a {@link LeadershipLostError}) or the process is to stop. */
  readonly signal: AbortSignal;
  /**
   * Grows with every term of any process: distinguishes a later leader's actions from an earlier one's. It starts over
   * when the Lease is deleted.
   */
  readonly epoch: number;
  /**
   * Throws unless the lease was renewed so recently that no other process can hold it. Checks the clocks, not the
   * signal, whose timer cannot fire in a frozen process; and both clocks, because the monotonic one stops while the
   * machine is suspended.
   *
   * @throws LeadershipLostError
   */
  assert(): void;
  /** The client, but each write, at each try, is sent only after {@link assert}. */
  fence(client: KubernetesClient): KubernetesClient;
}

export interface LeaderElectionSettings {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** The Lease's name. */
  readonly name: string;
  /** Identity of this process, never reused: a pod's name and a random part. */
  readonly identity: string;
  /** How long others wait after the last renewal that they saw. */
  readonly leaseDurationMs?: number | undefined;
  /** How long after its last renewal the leader considers itself leading. The difference is the margin for writes on their way. */
  readonly renewDeadlineMs?: number | undefined;
  readonly retryPeriodMs?: number | undefined;
  /**
   * Further annotations of the Lease, set at each write: information for the next leader changes hands in the same
   * write as the leadership.
   */
  readonly annotate?: ((before: LeaseBefore) => Readonly<Record<string, string>>) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry | undefined;
  readonly random?: (() => number) | undefined;
}

/** Leader election on a Lease, as client-go does it, with its defaults of 15, 10 and 2 seconds. */
export class LeaderElection {
  private readonly settings: LeaderElectionSettings;
  private readonly renewMs: number;
  private readonly retryMs: number;
  private readonly lease: Lease;
  private readonly metrics: ReturnType<typeof runtimeMetrics>;

  constructor(settings: LeaderElectionSettings) {
    const durationMs = settings.leaseDurationMs ?? LEASE.durationMs;
    const renewMs = settings.renewDeadlineMs ?? LEASE.renewMs;
    const retryMs = settings.retryPeriodMs ?? LEASE.retryMs;
    if (!(durationMs > renewMs && renewMs > retryMs * LEASE.jitter && retryMs > 0)) {
      throw new RangeError(`lease duration > renew deadline > ${LEASE.jitter} × retry period must hold`);
    }
    const { client, namespace, name, identity, annotate, clock, logger } = settings;
    this.settings = settings;
    this.renewMs = renewMs;
    this.retryMs = retryMs;
    this.lease = new Lease({ client, namespace, name, identity, durationMs, renewMs, annotate, clock, logger });
    this.metrics = runtimeMetrics(settings.registry);
    this.metrics.leader.set({ name }, 0);
  }

  /**
   * Waits for the lease, then calls `lead`, keeps the lease until it returns, and releases it. When the signal aborts,
   * `lead` is notified by its own signal and may take its time; the lease is renewed meanwhile.
   *
   * @throws LeadershipLostError at once when the lease is lost, without waiting for `lead`: exit the process
   * @throws any error that `lead` throws
   */
  async run(signal: AbortSignal, lead: (leadership: Leadership) => Promise<void>): Promise<void> {
    const { name, logger } = this.settings;
    try {
      await this.acquire(signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.metrics.leader.set({ name }, 1);
    logger.info({ lease: name, epoch: this.lease.transitions }, 'leading');
    try {
      await this.serve(signal, lead);
    } finally {
      this.metrics.leader.set({ name }, 0);
      logger.info({ lease: name }, 'no longer leading');
    }
  }

  private async acquire(signal: AbortSignal): Promise<void> {
    const { clock, random = Math.random } = this.settings;
    while (!(await this.tryAcquire(signal))) await clock.sleep(this.retryMs * (1 + random() * LEASE.jitter), signal);
  }

  private async tryAcquire(signal: AbortSignal): Promise<boolean> {
    const { lease, settings } = this;
    const options = { signal, timeoutMs: this.renewMs / 2, retries: 0 };
    try {
      await lease.read(options);
      if (lease.isHeldByOther()) return false;
      await lease.hold(options);
      return true;
    } catch (error) {
      if (signal.aborted) throw error;
      const lostRace = error instanceof ConflictError || error instanceof AlreadyExistsError;
      settings.logger[lostRace ? 'debug' : 'warn'](
        { lease: settings.name, error: errorMessage(error) },
        'the lease could not be acquired',
      );
      return false;
    }
  }

  private async serve(stop: AbortSignal, lead: (leadership: Leadership) => Promise<void>): Promise<void> {
    const { lease } = this;
    const term = new AbortController();
    const renewing = new AbortController();
    const lost = new AbortController();
    const onStop = () => term.abort(stop.reason);
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop, { once: true });
    const renewal = this.keepRenewing(renewing.signal).catch((error: unknown) => {
      if (renewing.signal.aborted) return;
      lease.abandon();
      term.abort(error);
      lost.abort(error);
    });
    const assert = () => this.assertLeading();
    const leadership: Leadership = {
      signal: term.signal,
      epoch: lease.transitions ?? 0,
      assert,
      fence: (unfenced) => unfenced.guarded(assert),
    };
    try {
      await abortable(lead(leadership), lost.signal);
    } finally {
      stop.removeEventListener('abort', onStop);
      renewing.abort();
      await renewal;
      await lease.release({ timeoutMs: this.renewMs / 2, retries: 0 });
    }
  }

  /** Renews until the signal aborts; throws LeadershipLostError when that cannot be done in time. */
  private async keepRenewing(signal: AbortSignal): Promise<never> {
    const { lease } = this;
    const { name, clock, logger } = this.settings;
    for (;;) {
      await clock.sleep(Math.min(this.retryMs, Math.max(0, lease.leftMs())), signal);
      this.assertLeading();
      const options = { signal, timeoutMs: Math.min(this.renewMs / 2, lease.leftMs()), retries: 0 };
      await this.renew(options).catch((error: unknown) => {
        if (signal.aborted || error instanceof LeadershipLostError) throw error;
        logger.warn({ lease: name, error: errorMessage(error) }, 'the lease could not be renewed; retrying');
      });
    }
  }

  private async renew(options: CallOptions): Promise<void> {
    const { lease } = this;
    const { name, identity } = this.settings;
    try {
      await lease.hold(options);
    } catch (error) {
      if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
      // It was changed or deleted, or an earlier renewal of ours arrived although its answer was lost.
      await lease.read(options);
      if (lease.holder !== identity)
        throw new LeadershipLostError(`lease ${name} is held by ${lease.holder ?? 'no process'}`);
      await lease.hold(options);
    }
  }

  private assertLeading(): void {
    if (this.lease.leftMs() > 0) return;
    throw new LeadershipLostError(`lease ${this.settings.name} was not renewed within ${this.renewMs} ms`);
  }
}
