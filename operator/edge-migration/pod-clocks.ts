import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { z } from 'zod';
import { type ClockFact, type Clocks, createClocks } from './clock-skew.ts';
import { parseJsonText } from './parse.ts';
import { BY_MIGRATION, type Sources } from './sources.ts';

/** The clocks of pods that copy or compare, by their checkpoints: the API server notes when it saved each one. */
export interface PodClocks {
  /** The clocks of the pods that now work for this EdgeMigration. */
  observe(sources: Pick<Sources, 'jobs' | 'configMaps'>, migration: Pick<EdgeMigration, 'uid'>): ClockFact[];
  /** Number of EdgeMigrations whose clocks are remembered. */
  readonly size: number;
}

const writtenSchema = z.object({ instance: z.string(), updatedTime: z.iso.datetime() });

export function createPodClocks(): PodClocks {
  /** By the EdgeMigration's uid. */
  const clocks = new Map<string, Clocks>();
  return {
    get size() {
      return clocks.size;
    },
    observe({ jobs, configMaps }, { uid }) {
      const isActive = (one: string) => jobs.byIndex(BY_MIGRATION, one).some(({ fact }) => fact.outcome === 'active');
      // Also those of EdgeMigrations deleted during their work, for which nothing is asked any more.
      for (const one of clocks.keys()) if (!isActive(one)) clocks.delete(one);
      if (!isActive(uid)) return [];
      const known = clocks.get(uid) ?? createClocks();
      clocks.set(uid, known);
      return configMaps.byIndex(BY_MIGRATION, uid).flatMap(({ fact }) => {
        if (fact.kind !== 'checkpoint' || fact.savedTime === undefined) return [];
        const written = parseJsonText(fact.checkpoint, writtenSchema);
        if (written === undefined) return [];
        const { instance, updatedTime } = written;
        const { ahead, isSure } = known.notice(instance, fact.savedTime, Date.parse(updatedTime) - fact.savedTime);
        return isSure ? [{ process: `pod ${instance}`, ahead }] : [];
      });
    },
  };
}
