import { type EdgeMigration, LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { AlreadyExistsError, LeadershipLostError } from '@edge-migration/kubernetes/errors.ts';
import { objectKey } from '@edge-migration/kubernetes/objects.ts';
import { JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { ContainerEnd } from '@edge-migration/runtime/last-words.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { HANDOVER_LOOK_MS } from '@edge-migration/runtime/policies.ts';
import { z } from 'zod';
import type { HandoverState } from '../edge-migration/readiness/facts.ts';
import { createApiPods } from './api-pods.ts';
import {
  buildHandover,
  HANDOVER_STAGES,
  type HandoverSettings,
  type HandoverStage,
  LAST_WORDS_SECONDS,
  nameHandover,
  nameRevision,
} from './job.ts';
import { readOutcome } from './outcome.ts';
import { createTurns } from './turns.ts';

/** Manages the Jobs in which Flagsmith hands a project over; their outcomes are facts, never errors. */
export interface HandoverRunner {
  /** The state of this hand-over of the migration. Throws nothing but the signal's reason. */
  look(migration: EdgeMigration, stage: HandoverStage, signal: AbortSignal): Promise<HandoverState>;
  /**
   * Starts the Job, or removes a finished one so that it can be started again later. {@link look} reports what prevents
   * the start: the migration itself continues.
   */
  start(
    client: KubernetesClient,
    target: { migration: EdgeMigration; logger: Logger; signal: AbortSignal },
    stage: HandoverStage,
  ): Promise<void>;
  /** The EdgeMigration, `<namespace>/<name>`, is gone: its state is discarded. */
  forget(key: string): void;
}

export interface HandoverRunnerOptions extends HandoverSettings {
  client: KubernetesClient;
  /** Finds the Core API's pods. */
  selector: string;
  clock: Clock;
}

/** For the pod to be started, and the Job to be seen as ended. */
const START_SECONDS = 60;

const jobSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
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
      containerStatuses: z
        .array(
          z.object({
            state: z.object({
              terminated: z
                .object({
                  message: z.string().optional(),
                  reason: z.string().optional(),
                  exitCode: z.number().optional(),
                })
                .optional(),
              waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
            }),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

export function createHandoverRunner({ client, selector, clock, ...settings }: HandoverRunnerOptions): HandoverRunner {
  const { namespace } = settings;
  const turns = createTurns(clock, 1000 * (settings.timeoutSeconds + LAST_WORDS_SECONDS + START_SECONDS));
  const apiPods = createApiPods(client, { namespace, selector, clock });
  const seen = new Map<string, { state: HandoverState; until: number }>();
  /** For those without a Job: the number of the next attempt. */
  const attempts = new Map<string, number>();
  const unstarted = new Map<string, Origin>();
  /** By `<namespace>/<name>`: the EdgeMigration of the cached state. */
  const subjects = new Map<string, Pick<EdgeMigration, 'name' | 'uid'>>();

  function forget(key: string): void {
    const subject = subjects.get(key);
    if (subject === undefined) return;
    for (const name of HANDOVER_STAGES.map((stage) => nameHandover(subject, stage))) {
      for (const remembered of [seen, attempts, unstarted]) remembered.delete(name);
      turns.forget(name);
    }
    subjects.delete(key);
  }

  /** One that was deleted and re-created has Jobs of other names. */
  function follow({ namespace, name, uid }: EdgeMigration): void {
    const key = objectKey({ namespace, name });
    if (subjects.get(key)?.uid !== uid) forget(key);
    subjects.set(key, { name, uid });
  }

  function remember(name: string, state: HandoverState, pauseMs: number): HandoverState {
    seen.set(name, { state, until: clock.monotonic() + pauseMs });
    return state;
  }

  function findTurn(name: string): HandoverState {
    const isQueued = !turns.hasRoom();
    turns.note(name, isQueued ? 'queued' : undefined);
    if (!isQueued) return { kind: 'absent' };
    return { kind: 'queued', isOverdue: turns.isOverdue(name), againMs: turns.pauseMs() };
  }

  /** The state of a Job of an older release is unknown. */
  async function isOutdated({ generation }: EdgeMigration, origin: Origin | undefined, signal: AbortSignal) {
    if (origin === undefined) return false;
    return origin.generation !== String(generation) || (await apiPods.haveChanged(origin.revision, signal));
  }

  async function read(migration: EdgeMigration, name: string, signal: AbortSignal): Promise<HandoverState> {
    const job = await client.get(JOBS, { namespace, name }, { signal });
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) return findTurn(name);
    const { metadata, status } = jobSchema.parse(job);
    const { conditions } = status;
    const end = conditions.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True');
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    const { items } = await client.list(PODS, { namespace, labelSelector }, { signal });
    turns.note(name, end === undefined ? 'running' : undefined);
    if (end === undefined) {
      const trouble = items.map(findTrouble).find((found) => found !== '');
      return { kind: 'running', isOverdue: turns.isOverdue(name), trouble };
    }
    // A pod that was stopped by the deadline is gone, and the Job has the reason.
    const words = items.map(findEnd).find((found) => found !== undefined) ?? end.message;
    const { attempt, origin } = readOrigin(metadata.annotations);
    const isOld = await isOutdated(migration, origin, signal);
    const time = Date.parse(end.lastTransitionTime);
    return { kind: 'ended', time, job: name, attempt, isOutdated: isOld, ...readOutcome(words) };
  }

  const failed = (words: string, attempt = 1): Extract<HandoverState, { kind: 'ended' }> => ({
    kind: 'ended',
    time: clock.now(),
    job: undefined,
    attempt,
    isOutdated: false,
    outcome: 'failed',
    words,
  });

  /** @returns the number of the next attempt */
  function count(name: string, wasAttempt: number, wasOutdated: boolean): number {
    const next = wasOutdated ? 1 : wasAttempt + 1;
    attempts.set(name, next);
    return next;
  }

  /** Only this process knows why a Job could not start, until the next attempt. */
  function rememberUnstarted(migration: EdgeMigration, name: string, words: string, revision?: string): void {
    const attempt = attempts.get(name) ?? 1;
    turns.note(name, undefined);
    unstarted.set(name, { generation: String(migration.generation), revision });
    remember(name, failed(words, attempt), HANDOVER_LOOK_MS.ended);
  }

  return {
    forget,
    async look(migration, stage, signal) {
      follow(migration);
      const name = nameHandover(migration, stage);
      const known = seen.get(name);
      if (known !== undefined && clock.monotonic() < known.until) return known.state;
      try {
        const state = await read(migration, name, signal);
        const isStarted = state.kind === 'running' || state.kind === 'ended';
        if (!isStarted && known?.state.kind === 'ended' && known.state.job === undefined) {
          const isOld = await isOutdated(migration, unstarted.get(name), signal);
          return remember(name, { ...known.state, isOutdated: isOld }, HANDOVER_LOOK_MS.ended);
        }
        return remember(name, state, state.kind === 'queued' ? state.againMs : HANDOVER_LOOK_MS[state.kind]);
      } catch (error) {
        if (signal.aborted) throw error;
        return remember(name, failed(`its Job cannot be read: ${errorMessage(error)}`), HANDOVER_LOOK_MS.ended);
      }
    },
    async start(fenced, { migration, logger, signal }, stage) {
      const name = nameHandover(migration, stage);
      const known = seen.get(name)?.state;
      seen.delete(name);
      let revision: string | undefined;
      try {
        const old = await client.get(JOBS, { namespace, name }, { signal });
        if (old !== undefined) {
          const { attempt, origin } = readOrigin(old.metadata.annotations ?? {});
          count(name, attempt, await isOutdated(migration, origin, signal));
          await fenced.delete(JOBS, { namespace, name }, { uid: old.metadata.uid, signal });
          return;
        }
        // The turn was taken since the check; it is requested again.
        if (!turns.hasRoom()) return;
        if (known?.kind === 'ended') count(name, known.attempt, known.isOutdated);
        turns.note(name, 'running');
        const apiPod = await apiPods.find(signal);
        if (apiPod === undefined) {
          rememberUnstarted(
            migration,
            name,
            `no pod of the Core API is found in namespace ${namespace} by ${selector}`,
          );
          return;
        }
        revision = nameRevision(apiPod);
        await fenced.create(JOBS, buildHandover(migration, stage, apiPod, settings, attempts.get(name)), { signal });
        attempts.delete(name);
        logger.info({ job: name }, 'started the hand-over by Flagsmith');
      } catch (error) {
        if (error instanceof AlreadyExistsError) return;
        turns.note(name, undefined);
        if (signal.aborted || error instanceof LeadershipLostError) throw error;
        rememberUnstarted(migration, name, `its Job cannot be started: ${errorMessage(error)}`, revision);
      }
    },
  };
}

/** The inputs of a Job: the EdgeMigration's generation, and the revision of the Core API's pods, if there were any. */
interface Origin {
  generation: string;
  revision: string | undefined;
}

function readOrigin(annotations: Readonly<Record<string, string>>): { attempt: number; origin: Origin | undefined } {
  const generation = annotations[LABELS.generation];
  const revision = annotations[LABELS.coreApiRevision];
  const attempt = Number(annotations[LABELS.attempt] ?? 1);
  return {
    attempt: Number.isInteger(attempt) && attempt > 0 ? attempt : 1,
    origin: generation === undefined || revision === undefined ? undefined : { generation, revision },
  };
}

/** How the pod's container ended; undefined if it is running. */
function findEnd(pod: KubernetesObject): ContainerEnd | undefined {
  const [container] = podSchema.parse(pod).status.containerStatuses;
  return container?.state.terminated;
}

/** Why a pod does not start; empty if nothing prevents it. */
function findTrouble(pod: KubernetesObject): string {
  const [container] = podSchema.parse(pod).status.containerStatuses;
  const { reason = '', message = '' } = container?.state.waiting ?? {};
  const isStarting = reason === '' || reason === 'ContainerCreating' || reason === 'PodInitializing';
  return isStarting ? '' : `${reason} ${message}`.trim();
}
