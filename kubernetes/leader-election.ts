import { type Clock, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { LEASE } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import type { CallOptions, KubernetesClient, KubernetesObject, Resource } from './client.ts';
import { abortable } from './deadline.ts';
import { AlreadyExistsError, ConflictError, LeadershipLostError, NotFoundError } from './errors.ts';
import { runtimeMetrics } from './metrics.ts';
import { formatMicroTime, type ObjectMeta } from './objects.ts';

export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

interface LeaseSpec {
  holderIdentity?: string | null;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** A Lease as it was before a term, or before a renewal. */
export interface LeaseBefore {
  readonly annotations: Readonly<Record<string, string>>;
  /**
   * Epoch milliseconds when its holder renewed it last: the earlier of what the holder and the API server say, whose clocks
   * differ. Undefined when there is no Lease.
   */
  readonly renewedTime: number | undefined;
  /** Another's renewal was seen from here that was made after this, in monotonic milliseconds; -Infinity when none was. */
  readonly seenRenewedAfter: number;
  /** It is a renewal of ours, not the beginning of a term. */
  readonly isRenewal: boolean;
}

/** One term of leading. */
export interface Leadership {
  /** Aborted when the lease is lost (reason: a {@link LeadershipLostError}) or the process is to stop. */
  readonly signal: AbortSignal;
  /**
   * Grows with every term of whichever process: tells a later leader's doings from an earlier one's. It starts over
   * when somebody deletes the Lease.
   */
  readonly epoch: number;
  /**
   * Throws unless the lease was renewed so recently that nobody else can hold it. Looks at the clocks, not at the signal,
   * whose timer cannot fire in a process that was frozen; at both of them, because the monotonic one stands still while the
   * machine is suspended.
   *
   * @throws LeadershipLostError
   */
  assert(): void;
  /** The client, but each write, at each try, is sent only after {@link assert}. */
  fence(client: KubernetesClient): KubernetesClient;
}

export interface LeaderElection {
  /**
   * Waits for the lease, then calls `lead` and keeps the lease until it returns, and releases it. When the signal
   * aborts, `lead` is told by its own signal and may take its time; the lease is renewed meanwhile.
   *
   * @throws LeadershipLostError at once when the lease is lost, without waiting for `lead`: exit the process
   * @throws whatever `lead` throws
   */
  run(signal: AbortSignal, lead: (leadership: Leadership) => Promise<void>): Promise<void>;
}

export interface LeaderElectionSettings {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Of this process; no other may ever have the same: a pod's name and a random part. */
  readonly identity: string;
  /** How long others wait after the last renewal that they saw. */
  readonly leaseDurationMs?: number | undefined;
  /** How long after its last renewal the leader considers itself leading. The difference is the margin for writes on their way. */
  readonly renewDeadlineMs?: number | undefined;
  readonly retryPeriodMs?: number | undefined;
  /**
   * What else the Lease is to say, as annotations, each time that it is written: what one leader is to know of the one
   * before changes hands in the same write as the leadership.
   */
  readonly annotate?: ((before: LeaseBefore) => Readonly<Record<string, string>>) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry | undefined;
  readonly random?: (() => number) | undefined;
}

/**
 * Leader election on a Lease, as client-go does it, with its defaults of 15, 10 and 2 seconds. Whether another's lease
 * has expired is judged by when we last saw it change, on our own monotonic clock, never by the times written in it:
 * clocks of machines differ.
 */
export function createLeaderElection(settings: LeaderElectionSettings): LeaderElection {
  const { client, namespace, name, identity, clock, logger, random = Math.random } = settings;
  const {
    leaseDurationMs: leaseDuration = LEASE.durationMs,
    renewDeadlineMs: renewDeadline = LEASE.renewMs,
    retryPeriodMs: retryPeriod = LEASE.retryMs,
  } = settings;
  if (!(leaseDuration > renewDeadline && renewDeadline > retryPeriod * LEASE.jitter && retryPeriod > 0)) {
    throw new RangeError(`lease duration > renew deadline > ${LEASE.jitter} × retry period must hold`);
  }
  const metrics = runtimeMetrics(settings.registry);
  metrics.leader.set({ name }, 0);

  let observed: { record: string; at: number } | undefined;
  let holder: string | undefined;
  /** As last written or read by us. */
  let lease: KubernetesObject | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let seenRenewedAfter = Number.NEGATIVE_INFINITY;
  /** When the request of the last successful renewal was sent: nobody can have seen it earlier. */
  let renewed: Moment | undefined;

  /** Keeps when the record last changed, as seen from here. */
  function observe(found: KubernetesObject) {
    lease = found;
    const { holderIdentity = '', renewTime, leaseTransitions } = specOf(found);
    const record = JSON.stringify([holderIdentity, renewTime, leaseTransitions]);
    if (observed !== undefined && observed.record !== record && holderIdentity !== identity) seenRenewedAfter = readAt;
    if (observed?.record !== record) observed = { record, at: clock.monotonic() };
    readAt = clock.monotonic();
    if (holder !== (holderIdentity ?? '')) {
      holder = holderIdentity ?? '';
      logger.info({ lease: name, holder: holder || 'nobody' }, 'the lease has another holder');
    }
  }

  function heldByOther(): boolean {
    const { holderIdentity, leaseDurationSeconds = 0 } = specOf(lease);
    if (!holderIdentity || holderIdentity === identity) return false;
    return clock.monotonic() < (observed?.at ?? 0) + leaseDurationSeconds * 1000;
  }

  /** The record that makes us the holder; a new term unless we are already. */
  function nextSpec(): LeaseSpec {
    const now = formatMicroTime(clock.now());
    const spec = specOf(lease);
    const term = spec.holderIdentity === identity && renewed !== undefined;
    const transitions = spec.leaseTransitions ?? 0;
    return {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDuration / 1000),
      acquireTime: term ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: term || lease === undefined ? transitions : transitions + 1,
    };
  }

  function describeBefore(): LeaseBefore {
    const { holderIdentity } = specOf(lease);
    return {
      annotations: lease?.metadata.annotations ?? {},
      renewedTime: lease && findRenewedTime(lease),
      seenRenewedAfter,
      isRenewal: holderIdentity === identity && renewed !== undefined,
    };
  }

  /** Writes the record on the version last read; {@link ConflictError} when it changed since. */
  async function hold(options: CallOptions) {
    const sent = momentOf(clock);
    const annotations = { ...lease?.metadata.annotations, ...settings.annotate?.(describeBefore()) };
    const metadata = { namespace, name, ...lease?.metadata, annotations };
    const written =
      lease === undefined
        ? await client.create(LEASES, leaseObject({ metadata, spec: nextSpec() }), options)
        : await client.update(LEASES, { ...lease, metadata, spec: nextSpec() }, options);
    observe(written);
    renewed = sent;
  }

  async function read(options: CallOptions) {
    const found = await client.get(LEASES, { namespace, name }, options);
    if (found === undefined) lease = undefined;
    else observe(found);
  }

  async function tryAcquire(signal: AbortSignal): Promise<boolean> {
    const options = { signal, timeoutMs: renewDeadline / 2, retries: 0 };
    try {
      await read(options);
      if (heldByOther()) return false;
      await hold(options);
      return true;
    } catch (error) {
      if (signal.aborted) throw error;
      const lostRace = error instanceof ConflictError || error instanceof AlreadyExistsError;
      logger[lostRace ? 'debug' : 'warn'](
        { lease: name, error: errorMessage(error) },
        'the lease could not be acquired',
      );
      return false;
    }
  }

  async function acquire(signal: AbortSignal) {
    while (!(await tryAcquire(signal))) await clock.sleep(retryPeriod * (1 + random() * LEASE.jitter), signal);
  }

  /** Renews until the signal aborts; throws LeadershipLostError when that cannot be done in time. */
  async function keepRenewing(signal: AbortSignal): Promise<never> {
    for (;;) {
      await clock.sleep(Math.min(retryPeriod, Math.max(0, timeLeft())), signal);
      assertLeading();
      const options = { signal, timeoutMs: Math.min(renewDeadline / 2, timeLeft()), retries: 0 };
      await renew(options).catch((error: unknown) => {
        if (signal.aborted || error instanceof LeadershipLostError) throw error;
        logger.warn({ lease: name, error: errorMessage(error) }, 'the lease could not be renewed, trying again');
      });
    }
  }

  async function renew(options: CallOptions) {
    try {
      await hold(options);
    } catch (error) {
      if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
      // Somebody changed or deleted it, or an earlier renewal of ours arrived although its answer was lost.
      await read(options);
      const { holderIdentity } = specOf(lease);
      if (holderIdentity !== identity)
        throw new LeadershipLostError(`lease ${name} is held by ${holderIdentity ?? 'nobody'}`);
      await hold(options);
    }
  }

  const timeLeft = () => (renewed === undefined ? 0 : renewDeadline - mostSince(clock, renewed));

  function assertLeading() {
    if (timeLeft() > 0) return;
    throw new LeadershipLostError(`lease ${name} was not renewed within ${renewDeadline} ms`);
  }

  /** Lets the next leader start at once instead of waiting for the lease to expire. */
  async function release() {
    if (timeLeft() <= 0 || lease === undefined) return;
    const now = formatMicroTime(clock.now());
    const spec = { ...specOf(lease), holderIdentity: null, leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
    renewed = undefined;
    try {
      await client.update(LEASES, { ...lease, spec }, { timeoutMs: renewDeadline / 2, retries: 0 });
    } catch (error) {
      logger.warn({ lease: name, error: errorMessage(error) }, 'the lease could not be released; it expires by itself');
    }
  }

  async function serve(stop: AbortSignal, lead: (leadership: Leadership) => Promise<void>) {
    const term = new AbortController();
    const renewing = new AbortController();
    const lost = new AbortController();
    const onStop = () => term.abort(stop.reason);
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop, { once: true });
    const renewal = keepRenewing(renewing.signal).catch((error: unknown) => {
      if (renewing.signal.aborted) return;
      renewed = undefined;
      term.abort(error);
      lost.abort(error);
    });
    const leadership: Leadership = {
      signal: term.signal,
      epoch: specOf(lease).leaseTransitions ?? 0,
      assert: assertLeading,
      fence: (unfenced) => unfenced.guarded(assertLeading),
    };
    try {
      await abortable(lead(leadership), lost.signal);
    } finally {
      stop.removeEventListener('abort', onStop);
      renewing.abort();
      await renewal;
      await release();
    }
  }

  return {
    async run(signal, lead) {
      try {
        await acquire(signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      metrics.leader.set({ name }, 1);
      logger.info({ lease: name, epoch: specOf(lease).leaseTransitions }, 'leading');
      try {
        await serve(signal, lead);
      } finally {
        metrics.leader.set({ name }, 0);
        logger.info({ lease: name }, 'no longer leading');
      }
    },
  };
}

function specOf(lease: KubernetesObject | undefined): LeaseSpec {
  return (lease?.['spec'] ?? {}) as LeaseSpec;
}

function leaseObject(fields: { metadata: ObjectMeta; spec: LeaseSpec }): KubernetesObject {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...fields };
}

/** The API server notes in whole seconds when each writer wrote last; a Lease has no other writers than its holders. */
function findRenewedTime(lease: KubernetesObject): number {
  const fields = (lease.metadata['managedFields'] ?? []) as { time?: string }[];
  const written = fields.map(({ time }) => Date.parse(time ?? '')).filter((time) => !Number.isNaN(time));
  const renewed = Date.parse(specOf(lease).renewTime ?? '');
  return Math.min(...(Number.isNaN(renewed) ? [0] : [renewed]), ...(written.length > 0 ? [Math.max(...written)] : []));
}
