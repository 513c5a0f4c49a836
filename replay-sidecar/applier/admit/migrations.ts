import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import {
  type AdmissionDecision,
  chooseMigration,
  decideAdmission,
  projectOf,
} from '@edge-migration/contract/edge-migration/verdict.ts';
import type { Reflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { VIEW_POLL_MS } from '@edge-migration/runtime/policies.ts';

/** Name of the reflector's index by project. */
export const BY_PROJECT = 'project';
export const projectsOf = (migration: EdgeMigration): string[] => [String(projectOf(migration))];

/** An older view decides nothing (docs/design.md, "Convergence", rule 5). */
const STALE_MS = 10_000;
/** The API server sends something about once a minute, so it is asked well before that. */
const ASK_MS = 4000;
/** A watch that is silent for longer than two and a half minutes is replaced (kubernetes/list-watch.ts). */
const LOST_MS = 180_000;

/** The EdgeMigrations as this process sees them now. */
export interface MigrationView {
  /** Judges by the project's EdgeMigration, if there is one. */
  judge(projectId: number, beganTime: number): AdmissionDecision;
  find(projectId: number): EdgeMigration | undefined;
  /** Projects that have an EdgeMigration in a list begun after this call. */
  listProjects(signal: AbortSignal): Promise<readonly number[]>;
  /** All that count, one per project. */
  all(): readonly EdgeMigration[];
  /** How many there are, in any state. */
  count(): number;
  /** Whether the view may decide anything. */
  isConfirmed(): boolean;
  /**
   * Whether events are judged as they come. While nothing is in flight the view is not kept confirmed, because each list
   * covers all EdgeMigrations: then it is enough that the watch is alive and that the API server leaves no question
   * unanswered for longer than a view may be stale.
   */
  isAble(): boolean;
  /** When it was last listed (monotonic milliseconds): what it lacks was missing after that. */
  listedAt(): number;
  /** Resolves once it was listed after this call; lists at most once a second, however many ask. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Keeps it confirmed while `isNeeded`. Rejects with the signal's reason. */
  keepConfirmed(isNeeded: () => boolean, signal: AbortSignal): Promise<never>;
  /** Calls back with the project of each EdgeMigration that changed. */
  subscribe(listener: (projectId: number) => void): () => void;
}

type Source = Pick<
  Reflector<EdgeMigration>,
  'byIndex' | 'keys' | 'refresh' | 'listedAge' | 'confirmedAge' | 'subscribe'
>;

export function createMigrationView(reflector: Source, clock: Clock): MigrationView {
  const find = (projectId: number) => chooseMigration(reflector.byIndex(BY_PROJECT, String(projectId)));
  const isConfirmed = () => reflector.confirmedAge() <= STALE_MS && reflector.listedAge() < Number.POSITIVE_INFINITY;
  /** Since when (monotonic) the API server has been asked without an answer. */
  let askedSince: number | undefined;
  const isUnanswered = () => askedSince !== undefined && clock.monotonic() - askedSince > STALE_MS;
  return {
    find,
    judge: (projectId, beganTime) => decideAdmission(find(projectId), beganTime),
    async listProjects(signal) {
      await reflector.refresh(signal);
      return reflector.keys().map(projectOfKey);
    },
    all: () => [...new Set(reflector.keys().map(projectOfKey))].flatMap((projectId) => find(projectId) ?? []),
    count: () => reflector.keys().length,
    isConfirmed,
    isAble: () => isConfirmed() || (!isUnanswered() && reflector.confirmedAge() <= LOST_MS),
    listedAt: () => clock.monotonic() - reflector.listedAge(),
    refresh: (signal) => reflector.refresh(signal),
    async keepConfirmed(isNeeded, signal) {
      for (;;) {
        if (isNeeded() && reflector.confirmedAge() > ASK_MS) {
          askedSince = clock.monotonic();
          await reflector.refresh(signal);
          askedSince = undefined;
        }
        await clock.sleep(VIEW_POLL_MS, signal);
      }
    },
    subscribe: (listener) =>
      reflector.subscribe((change) => {
        listener(projectOfKey(change.key));
      }),
  };
}

/** The API server compares the name with the spec. */
function projectOfKey(key: string): number {
  return projectOf({ name: key.slice(key.indexOf('/') + 1), spec: undefined });
}
