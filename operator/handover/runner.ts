import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { z } from 'zod';
import type { EdgeMigration } from '../edge-migration/api.ts';
import type { HandoverState } from '../edge-migration/readiness/facts.ts';
import { JOBS, PODS } from '../edge-migration/resources.ts';
import type { KubernetesClient, KubernetesObject } from '../kubernetes/client.ts';
import { AlreadyExistsError, errorMessage, LeadershipLostError } from '../kubernetes/errors.ts';
import { buildHandover, type HandoverSettings, type HandoverStage, LAST_WORDS_SECONDS, nameHandover } from './job.ts';
import { readOutcome } from './outcome.ts';
import { createTurns } from './turns.ts';

/** Watches over the Jobs that let Flagsmith hand a project over; their outcomes are facts, never errors. */
export interface HandoverRunner {
  /** How far this hand-over of the migration is. Throws nothing but the signal's reason. */
  look(migration: EdgeMigration, stage: HandoverStage, signal: AbortSignal): Promise<HandoverState>;
  /**
   * Starts the Job, or removes one that ended in order to start it again later. What keeps it from starting is what
   * {@link look} tells next: the migration itself goes on.
   */
  start(
    client: KubernetesClient,
    target: { migration: EdgeMigration; logger: Logger; signal: AbortSignal },
    stage: HandoverStage,
  ): Promise<void>;
}

export interface RunnerOptions extends HandoverSettings {
  client: KubernetesClient;
  /** Finds the Core API's pods. */
  selector: string;
  clock: Clock;
}

/** An ended Job says nothing new, and one that is not there comes by us alone. */
const AGAIN_MILLISECONDS = { running: 1_000, absent: 1_000, ended: 30_000 };
/** For the pod to be started, and the Job to be seen as ended. */
const START_SECONDS = 60;

const jobSchema = z.object({
  status: z
    .object({
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            message: z.string().default(''),
            lastTransitionTime: z.string(),
          }),
        )
        .default([]),
    })
    .prefault({}),
});
const podSchema = z.object({
  status: z
    .object({
      phase: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
      containerStatuses: z
        .array(
          z.object({
            state: z.object({
              terminated: z.object({ message: z.string().default(''), reason: z.string().default('') }).optional(),
              waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
            }),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

export function createHandoverRunner({ client, selector, clock, ...settings }: RunnerOptions): HandoverRunner {
  const { namespace } = settings;
  const turns = createTurns(clock, 1000 * (settings.timeoutSeconds + LAST_WORDS_SECONDS + START_SECONDS));
  const seen = new Map<string, { state: HandoverState; until: number }>();

  function remember(name: string, state: HandoverState, pause: number): HandoverState {
    seen.set(name, { state, until: clock.monotonic() + pause });
    return state;
  }

  function findTurn(name: string): HandoverState {
    const isQueued = !turns.hasRoom();
    turns.note(name, isQueued ? 'queued' : undefined);
    if (!isQueued) return { kind: 'absent' };
    return { kind: 'queued', isOverdue: turns.isOverdue(name), againMilliseconds: turns.pause() };
  }

  async function read(name: string, signal: AbortSignal): Promise<HandoverState> {
    const job = await client.get(JOBS, { namespace, name }, { signal });
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) return findTurn(name);
    const { conditions } = jobSchema.parse(job).status;
    const end = conditions.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True');
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    const { items } = await client.list(PODS, { namespace, labelSelector }, { signal });
    turns.note(name, end === undefined ? 'running' : undefined);
    if (end === undefined) {
      const trouble = items.map(findTrouble).find((found) => found !== '');
      return { kind: 'running', isOverdue: turns.isOverdue(name), trouble };
    }
    // A pod that was stopped by the deadline is gone, and the Job says why.
    const words = items.map(findWords).find((found) => found !== '') ?? end.message;
    return { kind: 'ended', time: Date.parse(end.lastTransitionTime), job: name, ...readOutcome(words) };
  }

  async function findApiPod(signal: AbortSignal): Promise<KubernetesObject | undefined> {
    const { items } = await client.list(PODS, { namespace, labelSelector: selector }, { signal });
    const isReady = (pod: KubernetesObject) =>
      podSchema.parse(pod).status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    const living = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return living.find(isReady) ?? living[0];
  }

  const failed = (words: string): HandoverState => ({
    kind: 'ended',
    time: clock.now(),
    job: undefined,
    outcome: 'failed',
    words,
  });

  return {
    async look(migration, stage, signal) {
      const name = nameHandover(migration, stage);
      const known = seen.get(name);
      if (known !== undefined && clock.monotonic() < known.until) return known.state;
      try {
        const state = await read(name, signal);
        // What kept it from starting stays known until it is tried again.
        const isStarted = state.kind === 'running' || state.kind === 'ended';
        if (!isStarted && known?.state.kind === 'ended' && known.state.job === undefined) return known.state;
        return remember(
          name,
          state,
          state.kind === 'queued' ? state.againMilliseconds : AGAIN_MILLISECONDS[state.kind],
        );
      } catch (error) {
        if (signal.aborted) throw error;
        return remember(name, failed(`its Job cannot be read: ${errorMessage(error)}`), AGAIN_MILLISECONDS.ended);
      }
    },
    async start(fenced, { migration, logger, signal }, stage) {
      const name = nameHandover(migration, stage);
      seen.delete(name);
      try {
        const old = await client.get(JOBS, { namespace, name }, { signal });
        if (old !== undefined) {
          await fenced.delete(JOBS, { namespace, name }, { uid: old.metadata.uid, signal });
          return;
        }
        // Taken since it was looked at; it is asked for again.
        if (!turns.hasRoom()) return;
        turns.note(name, 'running');
        const apiPod = await findApiPod(signal);
        if (apiPod === undefined) {
          turns.note(name, undefined);
          const words = `no pod of the Core API is found in namespace ${namespace} by ${selector}`;
          remember(name, failed(words), AGAIN_MILLISECONDS.ended);
          return;
        }
        await fenced.create(JOBS, buildHandover(migration, stage, apiPod, settings), { signal });
        logger.info({ job: name }, 'started the hand-over by Flagsmith');
      } catch (error) {
        if (error instanceof AlreadyExistsError) return;
        turns.note(name, undefined);
        if (signal.aborted || error instanceof LeadershipLostError) throw error;
        remember(name, failed(`its Job cannot be started: ${errorMessage(error)}`), AGAIN_MILLISECONDS.ended);
      }
    },
  };
}

/** The last words of an ended pod; empty where there are none. */
function findWords(pod: KubernetesObject): string {
  const [container] = podSchema.parse(pod).status.containerStatuses;
  const { message = '', reason = '' } = container?.state.terminated ?? {};
  return message || reason;
}

/** Why a pod does not start; empty where nothing keeps it. */
function findTrouble(pod: KubernetesObject): string {
  const [container] = podSchema.parse(pod).status.containerStatuses;
  const { reason = '', message = '' } = container?.state.waiting ?? {};
  const isStarting = reason === '' || reason === 'ContainerCreating' || reason === 'PodInitializing';
  return isStarting ? '' : `${reason} ${message}`.trim();
}
