import type { HandoverStage } from '../../handover/job.ts';
import type { HandoverOutcome } from '../../handover/outcome.ts';

/** Whether Edge could answer for a project, besides its identities. */
export type ReadinessFact =
  /** Not looked at: nothing would follow from it, or Core has no such project. */
  | { kind: 'unread' }
  /** A store did not answer. */
  | { kind: 'problem'; reason: string; message: string; nextTime: number }
  | ObservedReadiness;

export interface ObservedReadiness {
  kind: 'observed';
  /** `enable_dynamo_db` of the project in Core. */
  enabled: boolean;
  /** Whether Flagsmith takes the overrides in `environments_v2` for complete; undefined where that is not configured. */
  overridesCounted: boolean | undefined;
  /** Whether Flagsmith brings later changes to `environments_v2`; undefined where that table is not configured. */
  keepsMeta: boolean | undefined;
  /** Live environments. */
  environments: number;
  /** Server keys that SDKs may use. */
  serverKeys: number;
  missing: {
    /** Environments without a document. */
    documents: PlaceFact[];
    /** Server keys that Edge does not have, each by its id and with its environment. */
    serverKeys: (PlaceFact & { keyId: number })[];
    /** Environments without a `_META` row. */
    metaRows: PlaceFact[];
  };
  /** Names of the tables that were looked at. */
  tables: { environments?: string; serverKeys?: string; environmentsV2?: string };
  /** Milliseconds since the epoch: by then it is looked at again. */
  nextTime: number;
}

/** What the dashboard, and Core's forwarding, go by. */
export type MarksFact =
  /** Not looked at: nothing would follow from it. */
  | { kind: 'unread' }
  | { kind: 'problem'; reason: string; message: string }
  | { kind: 'observed'; started: boolean; completed: boolean };

/** An environment as people know it. */
export interface PlaceFact {
  id: number;
  name: string;
}

/** Whether Edge has everything that was looked for. */
export function isComplete({ enabled, keepsMeta, missing }: ObservedReadiness): boolean {
  return enabled && keepsMeta !== false && Object.values(missing).every(({ length }) => length === 0);
}

/** The hand-over by Flagsmith's own code, where it is switched on. */
export interface HandoverFact {
  mode: 'Verify' | 'Run';
  when: 'BeforeCopy' | 'AfterCopy';
  /** Which one it is the turn of; undefined while there is none to be made. */
  stage: HandoverStage | undefined;
  state: HandoverState;
}

export type HandoverState =
  | { kind: 'absent' }
  /** Not started, because as many as may be are under way for other projects. */
  | {
      kind: 'queued';
      isOverdue: boolean;
      /** So much later it may be its turn: the more of them wait, the less often each is looked at. */
      againMs: number;
    }
  | {
      kind: 'running';
      /** It takes longer than it may: its Job may be suspended, or no one may see to Jobs. */
      isOverdue: boolean;
      /** Why its pod does not start. */
      trouble: string | undefined;
    }
  | {
      kind: 'ended';
      /** Milliseconds since the epoch. */
      time: number;
      /** Its name; undefined when it could not be started, or read. */
      job: string | undefined;
      /** So many have ended one after the other while nothing changed that could matter. */
      attempt: number;
      /** The EdgeMigration's spec or the Core API's pods have changed since. */
      isOutdated: boolean;
      outcome: HandoverOutcome;
      /** Its last words. */
      words: string;
    };
