/** What the console's API answers; /api/v1/openapi.json says it in full. */
import type { Spec, Status } from '../../../operator/edge-migration/api.ts';

export type { Spec, Status };

/** RFC 3339. */
export type Time = string;

export interface Session {
  readonly user: string;
  readonly authentication: 'Token' | 'Proxy';
  readonly read_only: boolean;
  readonly default_namespace: string;
  readonly may: { readonly create: boolean; readonly patch: boolean };
  readonly server_time: Time;
  readonly version: string;
}

export type MigrationStatus =
  | 'MIGRATION_NOT_STARTED'
  | 'MIGRATION_SCHEDULED'
  | 'MIGRATION_IN_PROGRESS'
  | 'MIGRATION_COMPLETED';

export interface Summary {
  readonly project_id: number;
  readonly namespace: string;
  readonly name: string;
  readonly project_name: string | null;
  readonly migration_status: MigrationStatus;
  readonly mode: 'Migrate' | 'Plan' | null;
  readonly phase: string;
  readonly message: string | null;
  readonly progress: string | null;
  readonly suspended: boolean;
  readonly deleting: boolean;
  readonly outcome: 'succeeded' | 'failed' | null;
  readonly created_at: Time;
  readonly identities_total: number | null;
  readonly identities_read: number | null;
  readonly identities_remaining: number | null;
  readonly identities_per_second: number | null;
  readonly estimated_completion: Time | null;
  readonly lag_seconds: number | null;
  readonly deadline: Time | null;
  readonly gaps: number;
  readonly skipped: number;
  readonly differences: number | null;
  readonly spec_problem: string | null;
}

export const ACTIONS = [
  'plan',
  'migrate',
  'suspend',
  'resume',
  'extend',
  'finish',
  'verify',
  'repair',
  'retry',
] as const;
export type Action = (typeof ACTIONS)[number];

export interface ActionState {
  /** The caller's rights. */
  readonly allowed: boolean;
  /** The migration's state. */
  readonly possible: boolean;
  readonly reason: string | null;
  readonly warning: string | null;
}

export interface Detail extends Summary {
  readonly uid: string;
  readonly generation: number;
  readonly spec: Spec | null;
  readonly status: Status;
  /** Not in events. */
  readonly actions?: Readonly<Record<Action, ActionState>>;
  readonly server_time: Time;
}

export interface ProjectPage {
  readonly count: number;
  readonly phases: Readonly<Record<string, number>>;
  readonly results: readonly Summary[];
}

export interface Sample {
  readonly time: Time;
  readonly identities_per_second: number | null;
  readonly identities_remaining: number | null;
  readonly lag_seconds: number | null;
}

export interface ChangeAnswer {
  readonly result: 'created' | 'changed' | 'unchanged';
  readonly message: string;
  readonly warning: string | null;
  readonly project: Summary;
}

/** RFC 9457. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly warning?: string;
}
