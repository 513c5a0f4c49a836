import type { GapReason } from '@edge-migration/contract/reports/coverage.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { Uncovered, UncoveredReason, UnknownRoute } from './routes/plan.ts';
import type { Doubt } from './spool/doubt.ts';
import type { Spool } from './spool/spool.ts';

const GAP_REASONS: Record<UncoveredReason, GapReason> = {
  bodyTooLarge: 'bodyTooLarge',
  bodyUnreadable: 'bodyUnreadable',
  unnamed: 'unnamedWrite',
};

/** Logged shapes of unknown routes; more than this says nothing new. */
const MAX_LOGGED_ROUTES = 100;

export interface MissedWritesOptions {
  readonly spool: Pick<Spool, 'gaps'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counts: { unknownRoutes: number; uncovered: number };
}

/** Writes that Core took and no event reports: each is a gap. */
export class MissedWrites {
  private readonly options: MissedWritesOptions;
  private readonly logged = new Set<string>();

  constructor(options: MissedWritesOptions) {
    this.options = options;
  }

  reportUnknownRoute({ shape, scope }: UnknownRoute, from: number): void {
    const { spool, clock, logger, counts } = this.options;
    counts.unknownRoutes += 1;
    spool.gaps.mark('unknownRoute', from, clock.now(), scope);
    if (this.logged.has(shape) || this.logged.size >= MAX_LOGGED_ROUTES) return;
    this.logged.add(shape);
    logger.warn(
      { route: shape },
      'the API accepted a write to a route that resembles identity routes and is unknown to this release',
    );
  }

  reportUncovered({ reason, scope }: Uncovered, from: number, until: number): void {
    this.options.counts.uncovered += 1;
    this.options.spool.gaps.mark(GAP_REASONS[reason], from, until, scope);
  }
}

/** The gap that it would be if this process ended before the request. */
export const doubtOf = ({ reason, scope }: Uncovered): Doubt => ({ reason: GAP_REASONS[reason], scope });
