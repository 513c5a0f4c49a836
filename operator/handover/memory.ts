import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { objectKey } from '@edge-migration/kubernetes/objects.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { HandoverState } from '../edge-migration/readiness/facts.ts';
import { HANDOVER_STAGES, nameHandover } from './job.ts';
import type { Origin } from './job-state.ts';
import type { Turns } from './turns.ts';

/** What is remembered of hand-overs by the names of their Jobs, until their EdgeMigrations are gone. */
export class HandoverMemory {
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly turns: Pick<Turns, 'forget'>;
  private readonly states = new Map<string, { readonly state: HandoverState; readonly until: number }>();
  /** For those without a Job: the number of the next attempt. */
  private readonly attempts = new Map<string, number>();
  private readonly unstarted = new Map<string, Origin>();
  /** By `<namespace>/<name>`: the EdgeMigration of the cached state. */
  private readonly subjects = new Map<string, Pick<EdgeMigration, 'name' | 'uid'>>();

  constructor(clock: Pick<Clock, 'monotonic'>, turns: Pick<Turns, 'forget'>) {
    this.clock = clock;
    this.turns = turns;
  }

  /** One that was deleted and re-created has Jobs of other names. */
  follow({ namespace, name, uid }: EdgeMigration): void {
    const key = objectKey({ namespace, name });
    if (this.subjects.get(key)?.uid !== uid) this.forget(key);
    this.subjects.set(key, { name, uid });
  }

  /** @param key `<namespace>/<name>` of the EdgeMigration */
  forget(key: string): void {
    const subject = this.subjects.get(key);
    if (subject === undefined) return;
    for (const name of HANDOVER_STAGES.map((stage) => nameHandover(subject, stage))) {
      for (const remembered of [this.states, this.attempts, this.unstarted]) remembered.delete(name);
      this.turns.forget(name);
    }
    this.subjects.delete(key);
  }

  /** The last known state, and whether it is recent enough to be used. */
  stateOf(name: string): { readonly state: HandoverState; readonly isRecent: boolean } | undefined {
    const known = this.states.get(name);
    return known && { state: known.state, isRecent: this.clock.monotonic() < known.until };
  }

  /** @param pauseMs how long it is recent enough */
  remember(name: string, state: HandoverState, pauseMs: number): HandoverState {
    this.states.set(name, { state, until: this.clock.monotonic() + pauseMs });
    return state;
  }

  /** The state has changed. */
  forgetState(name: string): void {
    this.states.delete(name);
  }

  /** The number of the next attempt, if it is not the first one. */
  nextAttempt(name: string): number | undefined {
    return this.attempts.get(name);
  }

  /** An attempt is over. */
  countAttempt(name: string, attempt: number, wasOutdated: boolean): void {
    this.attempts.set(name, wasOutdated ? 1 : attempt + 1);
  }

  /** From now on its Job counts. */
  forgetAttempts(name: string): void {
    this.attempts.delete(name);
  }

  /** The inputs with which it could not be started. */
  originOfUnstarted(name: string): Origin | undefined {
    return this.unstarted.get(name);
  }

  rememberUnstarted(name: string, origin: Origin): void {
    this.unstarted.set(name, origin);
  }
}
