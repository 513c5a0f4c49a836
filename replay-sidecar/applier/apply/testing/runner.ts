import { derivedSubject } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment, CoreIdentity } from '@edge-migration/identity/core/identity.ts';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import type { Agreement } from '@edge-migration/identity/edge/other-regions.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import type { JsMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { Admission } from '../../admit/admission.ts';
import type { Work } from '../../consume/delivery.ts';
import { createEventRetry } from '../../event-retry.ts';
import { createCounts } from '../../report/counts.ts';
import { createRepeats } from '../repeats.ts';
import { createRunner, type EventRunnerOptions } from '../runner.ts';

export const PROJECT = 7;
export const environment = {
  id: 3,
  name: 'main',
  apiKey: 'key',
  allowClientTraits: true,
  useV2FeatureVersioning: false,
};
/** Core's row of an identity with a number that no document can hold. */
export const ADA: CoreIdentity = {
  id: 4,
  identifier: 'ada',
  createdDate: '2026-01-01T00:00:00',
  systemTraits: null,
  traits: [{ id: 1, key: 'plan', type: 'float', value: 'Infinity' }],
  overrides: [],
  overrideWinner: 'latestLiveFrom',
};

/** Edge's earlier document of her. */
export const DOCUMENT: Item = {
  composite_key: { S: 'key_ada' },
  environment_api_key: { S: 'key' },
  identifier: { S: 'ada' },
  django_id: { N: '4' },
  identity_traits: { L: [] },
  identity_features: { L: [] },
};

/** A Core that only answers what it has of her. */
export const coreOf = (keyed: Core['identities']['keyed']) => ({ identities: { keyed } });
export const found = (identity: CoreIdentity, holder = environment.id) =>
  coreOf(async () => ({ holder, identity, size: 100 }));
export const EMPTY_CORE = { identities: { identifiers: async () => [], present: async () => new Set() } };

export const stores = {
  clock: systemClock,
  edge: { identities: { get: async () => DOCUMENT } },
  core: found(ADA),
} as unknown as Stores;

/** An event that touched nothing that Edge cannot hold. */
export function work(fields = headers()): Work & { isDone(): boolean } {
  let done = false;
  const message = {
    subject: derivedSubject(PROJECT),
    data: new Uint8Array(),
    headers: fields,
    seq: 1,
  } as unknown as JsMsg;
  const held = {
    ...{
      message,
      data: message.data,
      delivered: 0,
      left: () => 30_000,
      doubt() {},
      settle() {},
      isDoubtful: () => false,
      isShared: () => false,
      isOpen: () => !done,
      nak() {},
    },
    ack() {
      done = true;
    },
  };
  const touched = { traits: new Set(['age']), overrides: new Set<string>() };
  const target = { kind: 'identity', environment: { environmentId: environment.id }, identifier: 'ada' } as const;
  const event = { target, touched: { traits: ['age'], overrides: [] }, outcome: 'known' } as unknown as WriteEvent;
  const about = { projectId: PROJECT, environment: environment as CoreEnvironment, identifier: 'ada' };
  const resolution = { kind: 'identity', isGone: false, touched, ...about } as const;
  return { held, event, resolution, began: 0, observed: 0, cursor: undefined, isDone: () => done };
}

export const repeats = createRepeats(60);

export interface Others {
  readonly between?: Stores;
  charge?(projectId: number, units: number): void;
  readonly publish?: EventRunnerOptions['publish'];
  readonly recheckDelayMs?: EventRunnerOptions['recheckDelayMs'];
  readonly isOver?: boolean;
  readonly elsewhere?: Agreement;
  readonly isAway?: boolean | (() => boolean);
  readonly region?: () => string;
  readonly isResting?: boolean;
  readonly stop?: AbortSignal;
  onApplied?(projectId: number, lag: number): void;
}

export function createParts(isListed = false, others: Others = {}) {
  const { between = stores, charge = () => {}, publish = async () => {}, recheckDelayMs = () => undefined } = others;
  const { isOver = false, elsewhere = 'same', isAway = false, region = () => 'home', isResting = false } = others;
  const { onApplied = () => {}, stop = new AbortController().signal } = others;
  const parked: unknown[] = [];
  const park: Admission['park'] = (_, projectId, reason, { identity, due, heldIn } = {}) =>
    void parked.push({ projectId, reason, ...identity, ...(due && { due }), ...(heldIn && { heldIn }) });
  const runner = createRunner({
    stores: between,
    aborts: { of: () => stop },
    rateLimiter: { charge },
    admission: {
      admit: (all) => ({ works: all, copying: false }),
      park,
      revisit: (work) => park(work, work.resolution.projectId, 'late'),
    },
    parking: { isListed: () => isListed, wake() {} },
    eventRetry: createEventRetry(systemClock, () => {}),
    repeats,
    counts: createCounts(),
    publish,
    forget() {},
    recheckDelayMs,
    isOver: () => isOver,
    region: async () => region(),
    elsewhere: async () => elsewhere,
    isResting: async () => isResting,
    isAway: () => (typeof isAway === 'function' ? isAway() : isAway),
    wrote() {},
    isBusy: () => false,
    onApplied,
    now: Date.now,
    logger: createLogger('test', 'silent'),
    signal: new AbortController().signal,
  });
  return { parked, runner };
}

/** @returns the parked events */
export async function apply(works: readonly Work[], isListed: boolean) {
  const { parked, runner } = createParts(isListed);
  await runner.apply(PROJECT, works);
  return parked;
}
