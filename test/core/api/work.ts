import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { Session } from './store/session.ts';

/** At most `count` at a time, in order of arrival. */
export function createSlots(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

interface TaskOptions {
  readonly clock: Clock;
  readonly delaySeconds: number;
  /** Tasks that have not begun when it is aborted never do, like Flagsmith's, which are lost on a restart. */
  readonly signal: AbortSignal;
  readonly logger: Logger | undefined;
}

/** Background tasks: they run some time after the answer, and their result is not reported. */
export function createTasks({ clock, delaySeconds, signal, logger }: TaskOptions) {
  const running = new Set<Promise<void>>();
  return {
    add(task: (session: Session) => Promise<void>, session: Session): void {
      const run = clock
        .sleep(delaySeconds * 1000, signal)
        .then(() => task(session))
        .catch((error: unknown) => {
          if (!signal.aborted) logger?.warn({ error: (error as Error).message }, 'task failed');
        })
        .finally(() => running.delete(run));
      running.add(run);
    },
    async settled(): Promise<void> {
      await Promise.all(running);
    },
  };
}
