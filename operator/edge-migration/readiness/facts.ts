import type { HandoverStage } from '../../handover/job.ts';
import type { HandoverOutcome } from '../../handover/outcome.ts';

/** Whether Edge could answer for a project, apart from its identities. */
export type ReadinessFact =
  /** Not checked: nothing would follow from it, or Core has no such project. */
  | { kind: 'unread' }
  /** A store did not answer. */
  | { kind: 'problem'; reason: string; message: string; nextTime: number }
  | ObservedReadiness;

export interface ObservedReadiness {
  kind: 'observed';
  /** `enable_dynamo_db` of the project in Core. */
  enabled: boolean;
  /** Whether Flagsmith takes the overrides in `environments_v2` as complete; undefined where that is not configured. */
  overridesCounted: boolean | undefined;
  /** Whether Flagsmith keeps `environments_v2` up to date; undefined where that table is not configured. */
  keepsMeta: boolean | undefined;
  /** Live environments. */
  environments: number;
  /** Server keys that SDKs may use. */
  serverKeys: number;
  missing: {
    /** Environments without a document. */
    documents: PlaceFact[];
    /** Server keys that Edge lacks, each with its id and environment. */
    serverKeys: (PlaceFact & { keyId: number })[];
    /** Environments without a `_META` row. */
    metaRows: PlaceFact[];
  };
  /** Names of the tables that were checked. */
  tables: { environments?: string; serverKeys?: string; environmentsV2?: string };
  /** Milliseconds since the epoch: the time of the next check. */
  nextTime: number;
}

/** The marks that the dashboard and Core's forwarding follow. */
export type MarksFact =
  /** Not read: nothing would follow from it. */
  | { kind: 'unread' }
  | { kind: 'problem'; reason: string; message: string }
  | { kind: 'observed'; started: boolean; completed: boolean };

/** An environment, for people. */
export interface PlaceFact {
  id: number;
  name: string;
}

/** Whether Edge has everything that was checked. */
export function isComplete({ enabled, keepsMeta, missing }: ObservedReadiness): boolean {
  return enabled && keepsMeta !== false && Object.values(missing).every(({ length }) => length === 0);
}

/** The hand-over by Flagsmith's own code, where it is switched on. */
export interface HandoverFact {
  mode: 'Verify' | 'Run';
  when: 'BeforeCopy' | 'AfterCopy';
  /** The stage whose turn it is; undefined while there is none to run. */
  stage: HandoverStage | undefined;
  state: HandoverState;
}

export type HandoverState =
  | { kind: 'absent' }
  /** Not started, because the most allowed are under way for other projects. */
  | {
      kind: 'queued';
      isOverdue: boolean;
      /** Milliseconds until it may be its turn: the more wait, the less often each is checked. */
      againMs: number;
    }
  | {
      kind: 'running';
      /** It takes longer than it may: its Job may be suspended, or no controller handles Jobs. */
      isOverdue: boolean;
      /** Why its pod does not start. */
      trouble: string | undefined;
    }
  | {
      kind: 'ended';
      /** Milliseconds since the epoch. */
      time: number;
      /** Its name; undefined when it could not be started or read. */
      job: string | undefined;
      /** How many have ended in a row while nothing relevant changed. */
      attempt: number;
      /** The EdgeMigration's spec or the Core API's pods have changed since. */
      isOutdated: boolean;
      outcome: HandoverOutcome;
      /** The Job's last words. */
      words: string;
    };
