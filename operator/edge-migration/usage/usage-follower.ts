import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { StoredReport } from '../../coverage/decide.ts';
import type { UsageCounts } from './usage-counts.ts';

/** Counts reports while others are already read: nothing waits for it, since Core may be slow, and reports repeat. */
export class UsageFollower {
  private readonly counts: UsageCounts;
  private readonly logger: Logger;
  private following: Promise<void> | undefined;
  /** As last logged. */
  private problem: string | undefined;

  constructor(counts: UsageCounts, logger: Logger) {
    this.counts = counts;
    this.logger = logger;
  }

  /** Starts counting these reports, unless earlier ones are still being counted. */
  follow(sidecars: readonly StoredReport[], now: number, signal: AbortSignal): void {
    this.following ??= this.take(sidecars, now, signal).finally(() => {
      this.following = undefined;
    });
  }

  /** Resolves when nothing is being counted. */
  async settled(): Promise<void> {
    await this.following;
  }

  private async take(sidecars: readonly StoredReport[], now: number, signal: AbortSignal): Promise<void> {
    try {
      await this.counts.follow(sidecars, now, signal);
      this.problem = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const problem = errorMessage(error);
      if (this.problem !== problem)
        this.logger.warn({ error: problem }, 'usage counts cannot be assigned to projects: Core does not answer');
      this.problem = problem;
    }
  }
}
