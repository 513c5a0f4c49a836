import { type Clock, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { CallOptions, KubernetesClient, KubernetesObject, Resource } from './client.ts';
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
   * Epoch milliseconds of the last renewal by its holder: the earlier of the times by the holder and the API server,
   * whose clocks differ. Undefined when there is no Lease.
   */
  readonly renewedTime: number | undefined;
  /** Another's renewal, made after this time in monotonic milliseconds, was seen from here; -Infinity when none was. */
  readonly seenRenewedAfter: number;
  /** It is one of our own renewals, not the start of a term. */
  readonly isRenewal: boolean;
}

export interface LeaseSettings {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly name: string;
  /** This process's identity. */
  readonly identity: string;
  /** How long others wait after the last renewal that they saw. */
  readonly durationMs: number;
  /** How long after its last renewal the holder relies on it. */
  readonly renewMs: number;
  readonly annotate: ((before: LeaseBefore) => Readonly<Record<string, string>>) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A Lease as one candidate sees and writes it. Another's lease has expired if we have not seen it change for long
 * enough on our own monotonic clock; the times written in it do not count, because clocks of machines differ.
 */
export class Lease {
  private readonly settings: LeaseSettings;
  /** As last written or read by us. */
  private object: KubernetesObject | undefined;
  /** When its record last changed, as seen from here. */
  private observed: { readonly record: string; readonly at: number } | undefined;
  private readAt = Number.NEGATIVE_INFINITY;
  private seenRenewedAfter = Number.NEGATIVE_INFINITY;
  private lastHolder: string | undefined;
  /** When the request of the last successful renewal was sent: no process can have seen it earlier. */
  private renewed: Moment | undefined;

  constructor(settings: LeaseSettings) {
    this.settings = settings;
  }

  get holder(): string | undefined {
    return specOf(this.object).holderIdentity ?? undefined;
  }

  /** The number of times it has changed hands. */
  get transitions(): number | undefined {
    return specOf(this.object).leaseTransitions;
  }

  isHeldByOther(): boolean {
    const { holderIdentity, leaseDurationSeconds = 0 } = specOf(this.object);
    if (!holderIdentity || holderIdentity === this.settings.identity) return false;
    return this.settings.clock.monotonic() < (this.observed?.at ?? 0) + leaseDurationSeconds * 1000;
  }

  /** How long it certainly remains ours; zero or less when it may be another's. */
  leftMs(): number {
    const { clock, renewMs } = this.settings;
    return this.renewed === undefined ? 0 : renewMs - mostSince(clock, this.renewed);
  }

  /** Stops counting it as ours. */
  abandon(): void {
    this.renewed = undefined;
  }

  async read(options: CallOptions): Promise<void> {
    const { client, namespace, name } = this.settings;
    const found = await client.get(LEASES, { namespace, name }, options);
    if (found === undefined) this.object = undefined;
    else this.observe(found);
  }

  /** Writes us as its holder, over the version last read; ConflictError when it changed since. */
  async hold(options: CallOptions): Promise<void> {
    const { client, namespace, name, annotate, clock } = this.settings;
    const { object } = this;
    const sent = momentOf(clock);
    const annotations = { ...object?.metadata.annotations, ...annotate?.(this.describeBefore()) };
    const metadata = { namespace, name, ...object?.metadata, annotations };
    const written =
      object === undefined
        ? await client.create(LEASES, leaseObject({ metadata, spec: this.nextSpec() }), options)
        : await client.update(LEASES, { ...object, metadata, spec: this.nextSpec() }, options);
    this.observe(written);
    this.renewed = sent;
  }

  /** Lets the next leader start at once instead of waiting for the lease to expire. */
  async release(options: CallOptions): Promise<void> {
    const { client, name, clock, logger } = this.settings;
    const { object } = this;
    if (this.leftMs() <= 0 || object === undefined) return;
    const now = formatMicroTime(clock.now());
    const spec = { ...specOf(object), holderIdentity: null, leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
    this.abandon();
    try {
      await client.update(LEASES, { ...object, spec }, options);
    } catch (error) {
      logger.warn({ lease: name, error: errorMessage(error) }, 'the lease could not be released; it expires by itself');
    }
  }

  private observe(found: KubernetesObject): void {
    const { identity, clock } = this.settings;
    this.object = found;
    const { holderIdentity = '', renewTime, leaseTransitions } = specOf(found);
    const record = JSON.stringify([holderIdentity, renewTime, leaseTransitions]);
    const isChanged = this.observed?.record !== record;
    if (this.observed !== undefined && isChanged && holderIdentity !== identity) this.seenRenewedAfter = this.readAt;
    if (isChanged) this.observed = { record, at: clock.monotonic() };
    this.readAt = clock.monotonic();
    this.noteHolder(holderIdentity ?? '');
  }

  private noteHolder(holder: string): void {
    const { name, logger } = this.settings;
    if (this.lastHolder === holder) return;
    this.lastHolder = holder;
    logger.info({ lease: name, holder: holder || 'none' }, 'the lease has another holder');
  }

  /** The record that makes us the holder; a new term unless we are already. */
  private nextSpec(): LeaseSpec {
    const { identity, durationMs, clock } = this.settings;
    const now = formatMicroTime(clock.now());
    const spec = specOf(this.object);
    const isOurs = this.isOurs();
    const transitions = spec.leaseTransitions ?? 0;
    return {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: isOurs ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: isOurs || this.object === undefined ? transitions : transitions + 1,
    };
  }

  private describeBefore(): LeaseBefore {
    const { object, seenRenewedAfter } = this;
    return {
      annotations: object?.metadata.annotations ?? {},
      renewedTime: object && findRenewedTime(object),
      seenRenewedAfter,
      isRenewal: this.isOurs(),
    };
  }

  private isOurs(): boolean {
    return this.holder === this.settings.identity && this.renewed !== undefined;
  }
}

function specOf(lease: KubernetesObject | undefined): LeaseSpec {
  return (lease?.['spec'] ?? {}) as LeaseSpec;
}

function leaseObject(fields: { metadata: ObjectMeta; spec: LeaseSpec }): KubernetesObject {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...fields };
}

/** The API server records each writer's last write in whole seconds; only its holders write a Lease. */
function findRenewedTime(lease: KubernetesObject): number {
  const fields = (lease.metadata['managedFields'] ?? []) as { time?: string }[];
  const written = fields.map(({ time }) => Date.parse(time ?? '')).filter((time) => !Number.isNaN(time));
  const renewed = Date.parse(specOf(lease).renewTime ?? '');
  return Math.min(...(Number.isNaN(renewed) ? [0] : [renewed]), ...(written.length > 0 ? [Math.max(...written)] : []));
}
