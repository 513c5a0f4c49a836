import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { type ConditionType, findCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { describeProgress, findOutcome, renderProgress } from '@edge-migration/operator/render/progress.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { WATCH_LOOK_MS } from '@edge-migration/runtime/policies.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { type Selection, select } from '../selection.ts';
import type { Terminal } from '../terminal.ts';
import { describeNothing } from './look.ts';

export interface WatchOptions {
  /** Between two looks; two seconds on a terminal and ten elsewhere unless set. */
  readonly intervalSeconds?: number | undefined;
  /** A condition to wait for instead of the end. */
  readonly until?: ConditionType | undefined;
}

/**
 * Shows how far the migrations are until each has come to its end, or has the condition: in place on a terminal, elsewhere
 * a line for each at every look.
 *
 * @returns unwell when one of them has failed
 */
export async function watch(context: Context, selection: Selection, options: WatchOptions): Promise<ExitCode> {
  const { terminal, clock, signal } = context;
  const pauseMs =
    options.intervalSeconds === undefined
      ? WATCH_LOOK_MS[terminal.isInteractive ? 'terminal' : 'elsewhere']
      : options.intervalSeconds * 1000;
  const screen = createScreen(terminal);
  let last: readonly EdgeMigration[] | undefined;
  for (;;) {
    const migrations = await look(context, selection, last === undefined);
    if (migrations?.length === 0) {
      terminal.warn(describeNothing(context, selection));
      return EXIT.notFound;
    }
    if (migrations !== undefined) {
      screen.show(migrations, clock.now());
      last = migrations;
      const outcomes = migrations.map((migration) => judge(migration, options.until));
      if (!outcomes.includes(undefined)) return outcomes.includes('failed') ? EXIT.unwell : EXIT.done;
    }
    await clock.sleep(pauseMs, signal);
  }
}

function judge(migration: EdgeMigration, until: ConditionType | undefined): 'succeeded' | 'failed' | undefined {
  const outcome = findOutcome(migration);
  if (until === undefined || outcome === 'failed') return outcome;
  const isObserved = (migration.status.observedGeneration ?? 0) >= migration.generation;
  return isObserved && findCondition(migration.status.conditions, until)?.status === 'True' ? 'succeeded' : undefined;
}

/** Undefined when the API server could not be asked this time; the first time it is an error. */
async function look({ cluster, terminal, signal }: Context, selection: Selection, isFirst: boolean) {
  try {
    return (await select(cluster, selection, signal)).map(({ migration }) => migration);
  } catch (error) {
    signal.throwIfAborted();
    const isPassing = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
    if (isFirst || !isPassing) throw error;
    terminal.warn(`${errorMessage(error)}; trying again`);
    return undefined;
  }
}

/** Draws over what it has drawn last. */
function createScreen(terminal: Terminal) {
  let drawn = 0;
  return {
    show(migrations: readonly EdgeMigration[], now: number) {
      if (!terminal.isInteractive) {
        for (const migration of migrations) terminal.write(`${describeProgress(migration, now)}\n`);
        return;
      }
      const all = migrations.flatMap((migration) => renderProgress(migration, now, terminal.columns));
      const room = Math.max(2, terminal.rows - 1);
      // What has scrolled away cannot be drawn over.
      const lines = all.length <= room ? all : [...all.slice(0, room - 1), `… ${all.length - room + 1} more lines`];
      terminal.write(`${drawn === 0 ? '' : `\u001b[${drawn}A\u001b[J`}${lines.join('\n')}\n`);
      drawn = lines.length;
    },
  };
}
