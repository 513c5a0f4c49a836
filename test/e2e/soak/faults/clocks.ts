import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { createFolder, removeFolder } from '../../../cluster/reaper.ts';
import type { Random } from '../random.ts';
import type { Fault } from './faults.ts';
import type { Kind, Target, Targets } from './targets.ts';

const STEP_MS = 180_000;
const LONGEST_MS = 15_000;
/** A process reads the file when it gets the signal. */
const READING_MS = 200;

export interface Clocks extends AsyncDisposable {
  /** Environment of the processes whose clocks are to be stepped. */
  readonly environment: Readonly<Record<string, string>>;
  /** One for each kind of process started with {@link environment}. */
  faults(kinds: readonly Kind[], targets: Targets, random: Random): Fault[];
}

/** Steps the clocks of single processes three minutes ahead or back for a while. */
export function createClocks(clock: Clock = systemClock): Clocks {
  const folder = createFolder('clocks');
  const file = join(folder, 'offset');
  const preload = new URL('./stepping-clock.ts', import.meta.url).href;

  async function step(millis: number, target: Target): Promise<void> {
    writeFileSync(file, String(millis));
    try {
      await target.signal('SIGWINCH');
    } catch (error) {
      // It ended meanwhile; the next one begins with the right time.
      if (!(error instanceof Error) || !error.message.endsWith('does not run')) throw error;
    }
    await clock.sleep(READING_MS);
  }

  return {
    environment: { STEPPING_CLOCK: file, NODE_OPTIONS: `--import ${preload}` },
    faults: (kinds, { broken, choose }, random) =>
      kinds.map((kind) => ({
        name: `clock of one ${kind} stepped`,
        // All share one file.
        subject: 'clocks',
        weight: 2,
        async run(share) {
          const target = await choose(kind);
          if (target === undefined) return;
          // A frozen one would get its signal when the file has another content.
          broken.add(target.name);
          await step(random.chance(0.5) ? STEP_MS : -STEP_MS, target);
          await clock.sleep(share * LONGEST_MS);
          await step(0, target);
          broken.delete(target.name);
        },
      })),
    async [Symbol.asyncDispose]() {
      rmSync(file, { force: true });
      await removeFolder(folder);
    },
  };
}
