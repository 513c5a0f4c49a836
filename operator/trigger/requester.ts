import { withDeadline } from '@edge-migration/kubernetes/deadline.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { Counter, type Registry } from 'prom-client';
import type { EventDecision } from './decide.ts';
import { type BusEvent, isEventRefusal, type Refusal, readProjectId } from './event.ts';
import type { EventOutcome, MigrationStarter } from './migrations.ts';

/** EventBridge gives an API destination five seconds. */
const LONGEST_MS = 4_000;

/** What was done about an accepted event. */
interface Taken {
  readonly id: string;
  readonly result: Exclude<EventDecision['kind'], 'refuse'>;
  readonly message: string;
}

/** Handles an event from either source. Never throws: a failure is a refusal with a message. */
export type Requester = (event: BusEvent) => Promise<Taken | Refusal>;

export interface RequesterSettings {
  readonly migrations: MigrationStarter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: Counter;
  /** Aborted when the process ends. */
  readonly signal: AbortSignal;
}

const RESULTS = ['create', 'start', 'retry', 'leave', 'refused', 'failed'] as const;

export function createEventCounter(registry: Registry): Counter {
  const events = new Counter({
    name: 'edge_migration_trigger_events_total',
    help: 'Events that asked for a migration, by what was done: create, start, retry, leave; refused, failed.',
    labelNames: ['result'],
    registers: [registry],
  });
  for (const result of RESULTS) events.inc({ result }, 0);
  return events;
}

export function createRequester({ migrations, clock, logger, events, signal }: RequesterSettings): Requester {
  function refuse(event: BusEvent, refusal: Refusal): Refusal {
    events.inc({ result: refusal.code === 'InternalFailure' ? 'failed' : 'refused' });
    logger.warn({ eventId: event.id, ...refusal }, 'event refused');
    return refusal;
  }

  function take(event: BusEvent, projectId: number, outcome: Exclude<EventOutcome, { kind: 'refuse' }>): Taken {
    const { kind: result, migration } = outcome;
    events.inc({ result });
    const message = describe(outcome);
    logger.info({ eventId: event.id, projectId, migration, result }, message);
    return { id: event.id, result, message };
  }

  return async (event) => {
    const asked = readProjectId(event);
    if (isEventRefusal(asked)) return refuse(event, asked);
    const { projectId } = asked;
    try {
      const outcome = await withDeadline(clock, LONGEST_MS, signal, (deadline) =>
        migrations.request(projectId, event.id, deadline.signal),
      );
      if (outcome.kind === 'refuse') return refuse(event, { code: outcome.code, message: outcome.message });
      return take(event, projectId, outcome);
    } catch (error) {
      logger.error(
        { eventId: event.id, projectId, error: errorMessage(error) },
        'the migration could not be requested',
      );
      events.inc({ result: 'failed' });
      const message = `project ${projectId}: Core or Kubernetes did not answer; send the event again. The log of the trigger has the reason`;
      return { code: 'InternalFailure', message };
    }
  };
}

function describe(outcome: Exclude<EventOutcome, { kind: 'refuse' }>): string {
  const name = `EdgeMigration ${outcome.migration}`;
  switch (outcome.kind) {
    case 'create':
      return `${name} was created`;
    case 'start':
      return `${name} was a plan and is a migration now`;
    case 'retry':
      return `${name} had failed and is retried`;
    case 'leave':
      return outcome.message;
  }
}
