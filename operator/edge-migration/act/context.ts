import type { EdgeMigration, Operation } from '@edge-migration/contract/edge-migration/api.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { ProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { HandoverRunner } from '../../handover/runner.ts';
import type { WorkerTemplate } from '../objects.ts';

/** What all actions of a migration need. */
export interface ActionContext {
  /** Refuses to write once this replica no longer leads. */
  client: KubernetesClient;
  core: Core;
  /** Absent when no project metadata table is configured. */
  projectMetadata: Pick<ProjectMetadata, 'markStarted' | 'markCompleted'> | undefined;
  /** Undefined where it is switched off. */
  handover: Pick<HandoverRunner, 'start'> | undefined;
  clock: Clock;
  /** The operator's own namespace. */
  namespace: string;
  template: WorkerTemplate;
  /** For pods that compare; they need no right to write to Edge, except to repair. */
  verifyTemplate: WorkerTemplate;
  pageMaxAgeSeconds: number;
  lateWriteSeconds: number;
}

/** The subject of one action. */
export interface ActionTarget {
  migration: EdgeMigration;
  operation: Operation;
  logger: Logger;
  signal: AbortSignal;
}
