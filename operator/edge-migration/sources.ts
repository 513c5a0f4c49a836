import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { ProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import type { Reflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { HandoverRunner } from '../handover/runner.ts';
import type { CoreClock } from './core-clock.ts';
import type { DecisionSettings, JobFact } from './facts.ts';
import type { FormerWork } from './former-work.ts';
import type { IdleTimes } from './idle-times.ts';
import type { JobEvents } from './job-events.ts';
import type { ConfigMapFact, Owned } from './parse.ts';
import type { PodClocks } from './pod-clocks.ts';
import type { PodFact } from './pods.ts';
import type { HandoverFact } from './readiness/facts.ts';
import type { Marks } from './readiness/marks.ts';
import type { ReadinessView } from './readiness/view.ts';
import type { ReplicationView } from './replication-view.ts';
import type { StreamView } from './stream.ts';
import type { WatchHistory } from './watch-history.ts';

/** Everything that the facts are read from. */
export interface Sources {
  migrations: Reflector<EdgeMigration>;
  jobs: Reflector<Owned<JobFact>>;
  configMaps: Reflector<Owned<ConfigMapFact>>;
  pods: Reflector<Owned<PodFact>>;
  core: Core;
  edge: EdgeStore;
  projectMetadata: ProjectMetadata | undefined;
  /** Names a pod of the Core API that knows where Edge is; undefined when none does, or none is watched. */
  forwardingPod: () => string | undefined;
  /** Whether the Core API's pods have been listed, where they are watched. */
  corePodsUnknown: () => boolean;
  /** Undefined where no project metadata table is configured. */
  marks: Pick<Marks, 'read' | 'forget'> | undefined;
  /** Undefined where no table is configured that shows it. */
  readiness: ReadinessView | undefined;
  /** Undefined where it is switched off. */
  handover:
    | { mode: HandoverFact['mode']; when: HandoverFact['when']; runner: Pick<HandoverRunner, 'inspect' | 'forget'> }
    | undefined;
  stream: StreamView;
  replication: Pick<ReplicationView, 'now'>;
  coreClock: Pick<CoreClock, 'ahead'>;
  podClocks: PodClocks;
  idleTimes: IdleTimes;
  formerWork: Pick<FormerWork, 'lastSeen'>;
  /** Since when pods are missing, and since when pods live on after their workers have ended. */
  missingTimes: IdleTimes;
  strandedTimes: IdleTimes;
  jobEvents: JobEvents;
  /** The Core API's pods; undefined where there are none to watch. */
  watchHistory: Pick<WatchHistory, 'unwatched'> | undefined;
  clock: Clock;
  settings: DecisionSettings;
}

/** Name of the index of {@link Sources.migrations} by project id. */
export const BY_PROJECT = 'project';
/** Names of the indexes of the others by the EdgeMigration's uid, and by its key. */
export const BY_MIGRATION = 'migration';
export const BY_KEY = 'key';
