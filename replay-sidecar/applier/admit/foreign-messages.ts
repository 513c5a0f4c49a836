import type { Logger } from '@edge-migration/runtime/logger.ts';
import { PARK_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import type { InFlightMessage } from '../consume/in-flight.ts';
import type { Counts } from '../report/counts.ts';
import type { Resolver } from '../resolve/resolver.ts';
import type { MigrationView } from './migrations.ts';

interface Foreign {
  readonly held: InFlightMessage;
  readonly clientKey: string;
  readonly projectId: number;
}

export interface ForeignMessagesOptions {
  migrations: Pick<MigrationView, 'find' | 'listedAt'>;
  resolver: Pick<Resolver, 'reload' | 'peekProjectId'>;
  counts: Counts;
  /** Handles a message that is not foreign after all. */
  handle(held: InFlightMessage): void;
  logger: Logger;
}

/** Messages of projects without an EdgeMigration, according to the view: nine out of ten, so each must cost little. */
export class ForeignMessages {
  private readonly options: ForeignMessagesOptions;
  private waiting: Foreign[] = [];

  constructor(options: ForeignMessagesOptions) {
    this.options = options;
  }

  get size(): number {
    return this.waiting.length;
  }

  add(held: InFlightMessage, clientKey: string, projectId: number): void {
    this.waiting.push({ held, clientKey, projectId });
  }

  /**
   * Drops messages whose projects had no EdgeMigration in a view listed after their delivery, and whose keys still
   * belonged to those projects after that: Core may have given a remembered key to another environment.
   */
  async settle(): Promise<void> {
    const { resolver, counts, handle, logger } = this.options;
    const going = this.takeListed();
    if (going.length === 0) return;
    const clientKeys = new Set(going.map(({ clientKey }) => clientKey));
    try {
      await resolver.reload(clientKeys);
    } catch (error) {
      // Stopping gives them back; any other answer from Core is repeated for each when it is resolved.
      if (going.some(({ held }) => held.isOpen()))
        logger.warn({ err: error }, 'the owners of client keys cannot be read');
      for (const { held } of going) held.nak(PARK_AGAIN_MS);
      return;
    }
    const owners = new Map(Array.from(clientKeys, (clientKey) => [clientKey, resolver.peekProjectId(clientKey)]));
    for (const { held, clientKey, projectId } of going) {
      if (owners.get(clientKey) !== projectId) handle(held);
      else {
        counts.foreign += 1;
        held.ack();
      }
    }
  }

  /** Those for which the view is recent enough; some of the others keep waiting, and some are no longer foreign. */
  private takeListed(): Foreign[] {
    const { migrations, handle } = this.options;
    const waited = this.waiting;
    const listed: Foreign[] = [];
    this.waiting = [];
    const listedAt = migrations.listedAt();
    const projects = new Set(waited.map(({ projectId }) => projectId));
    const migrating = new Set([...projects].filter((projectId) => migrations.find(projectId) !== undefined));
    for (const one of waited) {
      if (migrating.has(one.projectId)) handle(one.held);
      else (one.held.delivered <= listedAt ? listed : this.waiting).push(one);
    }
    return listed;
  }
}
