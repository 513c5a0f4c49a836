import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { AlreadyExistsError, LeadershipLostError } from '@edge-migration/kubernetes/errors.ts';
import { JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { HANDOVER_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { HandoverState } from '../edge-migration/readiness/facts.ts';
import { type ApiPods, createApiPods } from './api-pods.ts';
import {
  buildHandover,
  type HandoverSettings,
  type HandoverStage,
  LAST_WORDS_SECONDS,
  nameHandover,
  nameRevision,
} from './job.ts';
import { findContainerEnd, findJobEnd, findTrouble, type Origin, readOrigin } from './job-state.ts';
import { HandoverMemory } from './memory.ts';
import { readOutcome } from './outcome.ts';
import { createTurns, type Turns } from './turns.ts';

export interface HandoverRunnerOptions extends HandoverSettings {
  client: KubernetesClient;
  /** Finds the Core API's pods. */
  selector: string;
  clock: Clock;
}

interface StartTarget {
  migration: EdgeMigration;
  logger: Logger;
  signal: AbortSignal;
}

/** For the pod to be started, and the Job to be seen as ended. */
const START_SECONDS = 60;

/** Manages the Jobs in which Flagsmith hands a project over; their outcomes are facts, never errors. */
export class HandoverRunner {
  private readonly options: HandoverRunnerOptions;
  private readonly turns: Turns;
  private readonly apiPods: ApiPods;
  private readonly memory: HandoverMemory;

  constructor(options: HandoverRunnerOptions) {
    const { client, namespace, selector, clock, timeoutSeconds } = options;
    this.options = options;
    this.turns = createTurns(clock, 1000 * (timeoutSeconds + LAST_WORDS_SECONDS + START_SECONDS));
    this.apiPods = createApiPods(client, { namespace, selector, clock });
    this.memory = new HandoverMemory(clock, this.turns);
  }

  /** The EdgeMigration, `<namespace>/<name>`, is gone: its state is discarded. */
  forget(key: string): void {
    this.memory.forget(key);
  }

  /** The state of this hand-over of the migration. Throws nothing but the signal's reason. */
  async inspect(migration: EdgeMigration, stage: HandoverStage, signal: AbortSignal): Promise<HandoverState> {
    const { memory } = this;
    memory.follow(migration);
    const name = nameHandover(migration, stage);
    const known = memory.stateOf(name);
    if (known?.isRecent) return known.state;
    try {
      const state = await this.read(migration, name, signal);
      const isStarted = state.kind === 'running' || state.kind === 'ended';
      if (!isStarted && known?.state.kind === 'ended' && known.state.job === undefined) {
        const isOutdated = await this.isOutdated(migration, memory.originOfUnstarted(name), signal);
        return memory.remember(name, { ...known.state, isOutdated }, HANDOVER_POLL_MS.ended);
      }
      return memory.remember(name, state, state.kind === 'queued' ? state.againMs : HANDOVER_POLL_MS[state.kind]);
    } catch (error) {
      if (signal.aborted) throw error;
      const failed = this.fail(`its Job cannot be read: ${errorMessage(error)}`);
      return memory.remember(name, failed, HANDOVER_POLL_MS.ended);
    }
  }

  /**
   * Starts the Job, or removes a finished one so that it can be started again later. {@link inspect} reports what prevents
   * the start: the migration itself continues.
   */
  async start(fenced: KubernetesClient, target: StartTarget, stage: HandoverStage): Promise<void> {
    const { migration, signal } = target;
    const name = nameHandover(migration, stage);
    const known = this.memory.stateOf(name)?.state;
    this.memory.forgetState(name);
    const generation = String(migration.generation);
    let revision: string | undefined;
    try {
      if (await this.removeFormer(fenced, migration, name, signal)) return;
      // The turn was taken since the check; it is requested again.
      if (!this.turns.hasRoom()) return;
      if (known?.kind === 'ended') this.memory.countAttempt(name, known.attempt, known.isOutdated);
      this.turns.note(name, 'running');
      const apiPod = await this.apiPods.find(signal);
      if (apiPod === undefined) return this.rememberUnstarted(name, { generation, revision }, this.describeNoPod());
      revision = nameRevision(apiPod);
      const job = buildHandover(migration, stage, apiPod, this.options, this.memory.nextAttempt(name));
      await fenced.create(JOBS, job, { signal });
      this.memory.forgetAttempts(name);
      target.logger.info({ job: name }, 'started the hand-over by Flagsmith');
    } catch (error) {
      if (error instanceof AlreadyExistsError) return;
      this.turns.note(name, undefined);
      if (signal.aborted || error instanceof LeadershipLostError) throw error;
      this.rememberUnstarted(name, { generation, revision }, `its Job cannot be started: ${errorMessage(error)}`);
    }
  }

  /** Whether there was one. */
  private async removeFormer(fenced: KubernetesClient, migration: EdgeMigration, name: string, signal: AbortSignal) {
    const { client, namespace } = this.options;
    const former = await client.get(JOBS, { namespace, name }, { signal });
    if (former === undefined) return false;
    const { attempt, origin } = readOrigin(former);
    this.memory.countAttempt(name, attempt, await this.isOutdated(migration, origin, signal));
    await fenced.delete(JOBS, { namespace, name }, { uid: former.metadata.uid, signal });
    return true;
  }

  private describeNoPod(): string {
    const { namespace, selector } = this.options;
    return `no pod of the Core API is found in namespace ${namespace} by ${selector}`;
  }

  /** Only this process knows why a Job could not start, until the next attempt. */
  private rememberUnstarted(name: string, origin: Origin, words: string): void {
    const attempt = this.memory.nextAttempt(name) ?? 1;
    this.turns.note(name, undefined);
    this.memory.rememberUnstarted(name, origin);
    this.memory.remember(name, this.fail(words, attempt), HANDOVER_POLL_MS.ended);
  }

  private async read(migration: EdgeMigration, name: string, signal: AbortSignal): Promise<HandoverState> {
    const { client, namespace } = this.options;
    const job = await client.get(JOBS, { namespace, name }, { signal });
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) return this.findTurn(name);
    const end = findJobEnd(job);
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    const { items } = await client.list(PODS, { namespace, labelSelector }, { signal });
    this.turns.note(name, end === undefined ? 'running' : undefined);
    if (end === undefined) {
      return { kind: 'running', isOverdue: this.turns.isOverdue(name), trouble: findTrouble(items) };
    }
    // A pod that was stopped by the deadline is gone, and the Job has the reason.
    const words = findContainerEnd(items) ?? end.message;
    const { attempt, origin } = readOrigin(job);
    const isOutdated = await this.isOutdated(migration, origin, signal);
    return { kind: 'ended', time: end.time, job: name, attempt, isOutdated, ...readOutcome(words) };
  }

  private findTurn(name: string): HandoverState {
    const isQueued = !this.turns.hasRoom();
    this.turns.note(name, isQueued ? 'queued' : undefined);
    if (!isQueued) return { kind: 'absent' };
    return { kind: 'queued', isOverdue: this.turns.isOverdue(name), againMs: this.turns.pauseMs() };
  }

  private async isOutdated({ generation }: EdgeMigration, origin: Origin | undefined, signal: AbortSignal) {
    if (origin === undefined) return false;
    return origin.generation !== String(generation) || (await this.apiPods.haveChanged(origin.revision, signal));
  }

  private fail(words: string, attempt = 1): HandoverState {
    const time = this.options.clock.now();
    return { kind: 'ended', time, job: undefined, attempt, isOutdated: false, outcome: 'failed', words };
  }
}
