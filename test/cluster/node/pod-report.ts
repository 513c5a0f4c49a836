import { systemClock } from '@edge-migration/runtime/clock.ts';
import type { ApiClient, ApiError } from '../api-client.ts';
import { type PodFacts, podConditions, podPhase, timestamp } from './pod-status.ts';
import type { PodPlace } from './sources.ts';
import { createStatusWriter } from './status-writer.ts';

/** A pod's facts for the API server. */
export interface PodReport {
  /** The containers' part of the facts, read whenever the status is written. */
  watch(containers: () => Pick<PodFacts, 'init' | 'sidecars' | 'main'>): void;
  /** The containers' statuses have changed. */
  changed(): void;
  /** The missing object that keeps the pod from starting, for the status. */
  waitFor(what: string | undefined): void;
  fail(failure: NonNullable<PodFacts['failure']>): void;
  /** Nothing of it runs any more; returns when the API server knows. */
  end(): Promise<void>;
}

export interface ReportOptions {
  api: ApiClient;
  /** URL path of the pod's object. */
  path: string;
  uid: string;
  place: PodPlace;
  onRefused(error: ApiError): void;
  signal: AbortSignal;
}

export function createPodReport({ api, path, uid, place, onRefused, signal }: ReportOptions): PodReport {
  const startTime = timestamp(systemClock.now());
  const withTransitions = createTransitions();
  let containers = (): Pick<PodFacts, 'init' | 'sidecars' | 'main'> => ({ init: [], sidecars: new Set(), main: [] });
  let failure: PodFacts['failure'];
  let waitingFor: string | undefined;
  let ended = false;

  function render(): object {
    const facts: PodFacts = { ...containers(), ended, ...(failure === undefined ? {} : { failure }) };
    const { podIP, hostIP } = place;
    return {
      phase: podPhase(facts),
      conditions: podConditions(facts).map(withTransitions),
      initContainerStatuses: facts.init,
      containerStatuses: facts.main,
      // An explicit null removes what was written before.
      reason: failure?.reason ?? null,
      message: failure?.message ?? waitingFor ?? null,
      ...{ startTime, hostIP, podIP, hostIPs: [{ ip: hostIP }], podIPs: [{ ip: podIP }] },
    };
  }

  const writer = createStatusWriter({
    render,
    write: (status) => api.patch(`${path}/status`, 'strategic-merge', { metadata: { uid }, status }, signal),
    onRefused,
    signal,
  });

  return {
    watch(source) {
      containers = source;
      writer.request();
    },
    changed: writer.request,
    waitFor(what) {
      waitingFor = what;
      writer.request();
    },
    fail(reason) {
      failure = reason;
    },
    end() {
      ended = true;
      return writer.flush();
    },
  };
}

/** Adds to each condition the time when its status last changed. */
function createTransitions() {
  const known = new Map<string, { status: string; lastTransitionTime: string }>();
  return <C extends { type: string; status: string }>(condition: C): C & { lastTransitionTime: string } => {
    const { type, status } = condition;
    const before = known.get(type);
    const unchanged = before?.status === status;
    const lastTransitionTime = unchanged ? before.lastTransitionTime : timestamp(systemClock.now());
    known.set(type, { status, lastTransitionTime });
    return { ...condition, lastTransitionTime };
  };
}
