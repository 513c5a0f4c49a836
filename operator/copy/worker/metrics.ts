import type { WriteBudget } from '@edge-migration/identity/edge/table/table.ts';
import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import type { Checkpoint } from '../checkpoint.ts';

const OUTCOMES = ['inserted', 'unchanged', 'kept', 'merged', 'replaced', 'skipped'] as const;

/** Registers the copy's metrics; returns a function to call after every page. */
export function createCopyMetrics(registry: Registry, budget: WriteBudget): (checkpoint: Checkpoint) => void {
  const registers = [registry];
  const identities = new Counter({
    name: 'edge_migration_copy_identities_total',
    help: 'Identities by what became of them, over all attempts of this range',
    labelNames: ['outcome'],
    registers,
  });
  const pages = new Counter({ name: 'edge_migration_copy_pages_total', help: 'Pages done', registers });
  const bytes = new Counter({ name: 'edge_migration_copy_document_bytes_total', help: 'Size of documents', registers });
  new Counter({
    name: 'edge_migration_copy_write_units_total',
    help: 'Write units that this worker spent',
    registers,
    collect() {
      this.reset();
      this.inc(Math.max(0, budget.spent().units));
    },
  });
  new Counter({
    name: 'edge_migration_copy_throttled_total',
    help: 'Requests and statements that DynamoDB throttled',
    registers,
    collect() {
      this.reset();
      this.inc(budget.spent().throttled);
    },
  });
  new Gauge({
    name: 'edge_migration_copy_write_rate_limit',
    help: 'Write units a second that this worker allows itself now',
    registers,
    collect() {
      this.set(budget.rate());
    },
  });
  collectDefaultMetrics({ register: registry });

  return ({ positions }) => {
    const counts = positions[0]?.totals.counts;
    if (counts === undefined) return;
    const set = (counter: Counter, value: number, labels = {}) => {
      counter.remove(labels);
      counter.inc(labels, value);
    };
    for (const outcome of OUTCOMES) set(identities, counts[outcome], { outcome });
    set(pages, counts.pages);
    set(bytes, counts.documentBytes);
  };
}
