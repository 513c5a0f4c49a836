import type { Logger } from '@edge-migration/runtime/logger.ts';
import { PARK_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import type { Counts } from '../report/counts.ts';
import type { Resolver } from '../resolve/resolver.ts';
import type { MigrationView } from './migrations.ts';

interface Foreign {
  readonly held: InFlightMessage;
  readonly projectId: number;
}

export interface ForeignMessagesOptions {
  migrations: Pick<MigrationView, 'find' | 'isListedSince'>;
  resolver: Pick<Resolver, 'reload' | 'peekProjectId'>;
  counts: Counts;
  /** Takes one that is not foreign after all. */
  handle(held: InFlightMessage): void;
  logger: Logger;
}

/** Messages of projects without an EdgeMigration, as far as the view goes. */
export class ForeignMessages {
  private readonly options: ForeignMessagesOptions;
  private waiting: Foreign[] = [];

  constructor(options: ForeignMessagesOptions) {
    this.options = options;
  }

  get size(): number {
    return this.waiting.length;
  }

  add(held: InFlightMessage, projectId: number): void {
    this.waiting.push({ held, projectId });
  }

  /**
   * Those go whose projects had no EdgeMigration in a view that was listed after they were delivered, and whose keys were
   * those projects' after that, too: Core may have given a key that is remembered to another environment.
   */
  async settle(): Promise<void> {
    const { resolver, counts, handle, logger } = this.options;
    const going = this.takeListed();
    if (going.length === 0) return;
    try {
      await resolver.reload(going.map(({ held }) => held.message.data));
    } catch (error) {
      // Stopping gives them back; whatever else Core says, it says it of each when it is resolved.
      if (going.some(({ held }) => held.isOpen()))
        logger.warn({ err: error }, 'it cannot be asked whose client keys are');
      for (const { held } of going) held.nak(PARK_AGAIN_MS);
      return;
    }
    for (const { held, projectId } of going) {
      if (resolver.peekProjectId(held.message.data) !== projectId) handle(held);
      else {
        counts.foreign += 1;
        held.ack();
      }
    }
  }

  /** Those of which the view is new enough; of the others some wait on, and some are foreign no more. */
  private takeListed(): Foreign[] {
    const { migrations, handle } = this.options;
    const waited = this.waiting;
    const listed: Foreign[] = [];
    this.waiting = [];
    for (const one of waited) {
      if (migrations.find(one.projectId) !== undefined) handle(one.held);
      else (migrations.isListedSince(one.held.delivered) ? listed : this.waiting).push(one);
    }
    return listed;
  }
}
