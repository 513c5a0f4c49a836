import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { type ConditionType, recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { describeProgress, findOutcome, renderProgress } from '@edge-migration/operator/render/progress.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { WATCH_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { type Selection, select } from '../selection.ts';
import type { Terminal } from '../terminal.ts';
import { describeNothing } from './show.ts';

export interface WatchOptions {
  /** The time between two updates; two seconds on a terminal and ten elsewhere by default. */
  readonly intervalSeconds?: number | undefined;
  /** A condition to wait for instead of the end. */
  readonly until?: ConditionType | undefined;
}

/**
 * Shows the progress of the migrations until each has ended, or has the condition: in place on a terminal, elsewhere as
 * a line for each at every update.
 *
 * @returns unwell if one of them has failed
 */
export async function watch(context: Context, selection: Selection, options: WatchOptions): Promise<ExitCode> {
  const { terminal, clock, signal } = context;
  const pauseMs =
    options.intervalSeconds === undefined
      ? WATCH_POLL_MS[terminal.isInteractive ? 'terminal' : 'elsewhere']
      : options.intervalSeconds * 1000;
  const screen = createScreen(terminal);
  let last: readonly EdgeMigration[] | undefined;
  for (;;) {
    const migrations = await readMigrations(context, selection, last === undefined);
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
  return isObserved && recordedCondition(migration.status.conditions, until)?.status === 'True'
    ? 'succeeded'
    : undefined;
}

/** Undefined if the API server could not be asked this time; the first time this is an error. */
async function readMigrations({ cluster, terminal, signal }: Context, selection: Selection, isFirst: boolean) {
  try {
    return (await select(cluster, selection, signal)).map(({ migration }) => migration);
  } catch (error) {
    signal.throwIfAborted();
    const isPassing = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
    if (isFirst || !isPassing) throw error;
    terminal.warn(`${errorMessage(error)}; retrying`);
    return undefined;
  }
}

/** Replaces the previous output. */
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
      // Lines that have scrolled off the screen cannot be replaced.
      const lines = all.length <= room ? all : [...all.slice(0, room - 1), `… ${all.length - room + 1} more lines`];
      terminal.write(`${drawn === 0 ? '' : `\u001b[${drawn}A\u001b[J`}${lines.join('\n')}\n`);
      drawn = lines.length;
    },
  };
}
