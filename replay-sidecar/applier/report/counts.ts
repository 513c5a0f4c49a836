import type { DropReason } from '@edge-migration/contract/edge-migration/verdict.ts';
import type { ParkReason } from '@edge-migration/contract/parked-place.ts';
import type { ConvergeOutcome } from '@edge-migration/identity/converge.ts';

/** Outcomes of one project's events since this process started. */
export interface ProjectCounts {
  /** Events applied, by outcome for the document. */
  readonly applied: Record<ConvergeOutcome, number>;
  /** Pages of wide events that were fanned out. */
  fannedOut: number;
  readonly dropped: Record<DropReason, number>;
  readonly parked: Record<ParkReason, number>;
  /** How often an identity was retried because of an error. */
  failed: number;
  /** Rechecks of what was applied on tables of several regions: held, overtaken, or not yet found in another region. */
  readonly rechecks: Record<'held' | 'overtaken' | 'elsewhere', number>;
  /** Documents that were read; several events may share one. */
  converged: number;
  /** Milliseconds since the epoch; of the last event that was applied. */
  lastAppliedTime: number | undefined;
}

export interface Counts {
  of(projectId: number): ProjectCounts;
  /** Forgets all other projects. */
  keep(isKept: (projectId: number) => boolean): void;
  readonly projects: ReadonlyMap<number, ProjectCounts>;
  /** Events that belong to no project with an EdgeMigration. */
  foreign: number;
  /** Test events of sidecars, and events that cannot concern any document. */
  ignored: number;
  /** Messages that are not events. */
  unreadable: number;
}

const zeros = <K extends string>(keys: readonly K[]) =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;

const OUTCOMES = [
  'inserted',
  'updated',
  'unchanged',
  'replaced',
  'deleted',
  'keptEdgeBorn',
  'absent',
  'unstorable',
] as const satisfies readonly ConvergeOutcome[];
const DROP_REASONS = [
  'noMigration',
  'planMode',
  'rejected',
  'windowClosed',
  'finished',
] as const satisfies readonly DropReason[];
const PARK_REASONS = [
  'suspended',
  'undecided',
  'unreadable',
  'copying',
  'overflow',
  'poison',
  'unstorable',
  'repeat',
  'late',
  'excess',
] as const satisfies readonly ParkReason[];

export function createCounts(): Counts {
  const projects = new Map<number, ProjectCounts>();
  return {
    projects,
    foreign: 0,
    ignored: 0,
    unreadable: 0,
    keep(isKept) {
      for (const projectId of projects.keys()) if (!isKept(projectId)) projects.delete(projectId);
    },
    of(projectId) {
      let counts = projects.get(projectId);
      if (counts === undefined) {
        counts = {
          applied: zeros(OUTCOMES),
          fannedOut: 0,
          dropped: zeros(DROP_REASONS),
          parked: zeros(PARK_REASONS),
          rechecks: { held: 0, overtaken: 0, elsewhere: 0 },
          failed: 0,
          converged: 0,
          lastAppliedTime: undefined,
        };
        projects.set(projectId, counts);
      }
      return counts;
    },
  };
}
