import { type Retrying, WorkerError } from '../../job/failure.ts';
import type { RangeOptions } from '../../job/range-options.ts';
import type { Range } from '../ranges.ts';
import { type Found, findMissed } from './missed.ts';
import type { StartPosition } from './position.ts';
import type { CopyProgress } from './progress.ts';
import { createReadIds, type ReadIds } from './read-ids.ts';

export interface CompletenessOptions
  extends Pick<RangeOptions<Range, unknown, unknown>, 'stores' | 'project' | 'range' | 'logger'> {
  /** By id, as they were when this process began. */
  readonly environments: ReadonlyMap<number, unknown>;
  readonly progress: CopyProgress;
  readonly retrying: Retrying;
  /** Copies the rest of the range from this position. */
  readonly copyFrom: (start: StartPosition) => Promise<void>;
}

/** Tracks which identities were read, and has the range read again if some were missed. */
export interface Completeness {
  /** @param ids of identities that existed when the range was planned */
  noteRead(environmentId: number, ids: readonly number[]): void;
  /** @throws WorkerError `transient` if identities are missed twice */
  ensure(signal: AbortSignal): Promise<void>;
}

export function createCompleteness(options: CompletenessOptions): Completeness {
  const { stores, project, range, environments, progress, retrying, logger, copyFrom } = options;
  /** By environment; undefined if an earlier process has read some. */
  let readIds: Map<number, ReadIds> | undefined = progress.isFromStart ? new Map() : undefined;

  async function findMissedNow(signal: AbortSignal): Promise<Found | 'unsure'> {
    const present = await retrying(() => stores.core.projects.get(project.id, signal));
    const there = new Set(present?.environments.map(({ id }) => id));
    const isPresent = (id: number) => environments.has(id) && there.has(id);
    const isOf = (id: number) => (segment: number) => range.segments[segment]!.environmentId === id;
    const countOf = (id: number) =>
      readIds === undefined ? progress.knownOf(isOf(id)) : (readIds.get(id)?.count() ?? 0);
    const wasRead = { ids: readIds, sums: progress.knownSums(), countOf };
    return retrying(() => findMissed({ core: stores.core, range, isPresent, wasRead, signal }));
  }

  function deficit({ read, missed }: Found): WorkerError {
    return new WorkerError(
      'transient',
      `project ${project.id}, range ${range.rangeId}: twice, ${read} identities were read where Core has ` +
        `${read + missed}: Core's unique index on identifiers is damaged: REINDEX TABLE CONCURRENTLY environments_identity`,
    );
  }

  return {
    noteRead(environmentId, ids) {
      if (readIds === undefined) return;
      const own = readIds.get(environmentId) ?? createReadIds();
      readIds.set(environmentId, own);
      own.add(ids);
    },

    /**
     * An identity that got a smaller identifier meanwhile was skipped; a second pass finds it. A third one would not
     * find what was missed twice.
     */
    async ensure(signal) {
      for (let isRepeated = false; ; ) {
        const found = await findMissedNow(signal);
        if (found !== 'unsure' && found.missed === 0) return;
        const start = await progress.restart(signal);
        if (isRepeated && found !== 'unsure') throw deficit(found);
        isRepeated = found !== 'unsure';
        logger.info({ rangeId: range.rangeId }, 'identities were missed, or may have been; reading the range again');
        readIds = new Map();
        await copyFrom(start);
      }
    },
  };
}
