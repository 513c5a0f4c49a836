import {
  type EdgeMigration,
  GROUP,
  parseEdgeMigration,
  projectOf,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { describePhase } from '@edge-migration/operator/render/list.ts';
import { findOutcome } from '@edge-migration/operator/render/progress.ts';
import type { MIGRATION_STATUSES, ProjectDetail, ProjectSummary } from './schemas.ts';

/** An EdgeMigration with its user-defined metadata. */
export interface ProjectMigration {
  readonly migration: EdgeMigration;
  readonly labels: Readonly<Record<string, string>>;
  readonly projectName: string | undefined;
}

/** Annotation with the project's name in Flagsmith, for lists; may contain any text. */
const PROJECT_NAME = `${GROUP}/project-name`;
const LONGEST_NAME = 200;

/** @throws like {@link parseEdgeMigration} */
export function parseProjectMigration(object: KubernetesObject): ProjectMigration {
  const { labels = {}, annotations = {} } = object.metadata;
  const projectName = annotations[PROJECT_NAME]?.trim().slice(0, LONGEST_NAME) || undefined;
  return { migration: parseEdgeMigration(object), labels, projectName };
}

/**
 * The status that Flagsmith's dashboard would show, derived from the same events: the operator marks a migration as
 * started with its copy, and as completed once the copy is complete and Edge can serve the project.
 */
export function migrationStatusOf({ spec, status }: EdgeMigration): (typeof MIGRATION_STATUSES)[number] {
  if (spec?.mode === 'Plan') return 'MIGRATION_NOT_STARTED';
  const { startTime, dryRun } = status.copy ?? {};
  if (completionOf(status) !== undefined) return 'MIGRATION_COMPLETED';
  return startTime !== undefined && !dryRun ? 'MIGRATION_IN_PROGRESS' : 'MIGRATION_SCHEDULED';
}

/** When the migration was complete in Flagsmith's terms. */
export function completionOf({ copy, conditions }: EdgeMigration['status']): string | undefined {
  const isCopied = recordedCondition(conditions, 'Copied')?.status === 'True';
  const isReady = recordedCondition(conditions, 'EdgeReady')?.status !== 'False';
  return isCopied && isReady && !copy?.dryRun ? copy?.completionTime : undefined;
}

const summaries = new WeakMap<ProjectMigration, ProjectSummary>();

/** The data of lists; created once, since a project that changes is another object. */
export function summarize(project: ProjectMigration): ProjectSummary {
  const known = summaries.get(project);
  if (known !== undefined) return known;
  const summary = makeSummary(project);
  summaries.set(project, summary);
  return summary;
}

function makeSummary({ migration, projectName }: ProjectMigration): ProjectSummary {
  const { namespace, name, spec, status, deleting } = migration;
  const { copy = {}, replay = {}, gaps = [], skipped, verification } = status;
  const { identitiesTotal, identitiesRead } = copy;
  const isCopying = copy.startTime !== undefined && copy.completionTime === undefined;
  const remaining = identitiesTotal === undefined ? undefined : Math.max(0, identitiesTotal - (identitiesRead ?? 0));
  return {
    project_id: projectOf(migration),
    namespace,
    name,
    project_name: projectName ?? null,
    migration_status: migrationStatusOf(migration),
    mode: spec?.mode ?? null,
    phase: describePhase(migration),
    message: status.message ?? null,
    progress: status.progress ?? null,
    suspended: spec?.suspend ?? false,
    deleting,
    outcome: findOutcome(migration) ?? null,
    created_at: migration.creationTime,
    identities_total: identitiesTotal ?? null,
    identities_read: identitiesRead ?? null,
    identities_remaining: remaining ?? null,
    identities_per_second: isCopying ? (copy.identitiesPerSecond ?? null) : null,
    estimated_completion: isCopying ? (copy.estimatedCompletionTime ?? null) : null,
    lag_seconds: replay.lagSeconds ?? null,
    deadline: replay.deadline ?? null,
    gaps: gaps.length,
    skipped: skipped?.total ?? 0,
    differences: verification?.last === undefined ? null : sum(Object.values(verification.last.findings ?? {})),
    spec_problem: migration.specProblem ?? null,
  };
}

/** @param now milliseconds since the epoch */
export function detail(project: ProjectMigration, now: number): ProjectDetail {
  const { uid, generation, resourceVersion, spec, status } = project.migration;
  return {
    ...summarize(project),
    uid,
    generation,
    resource_version: resourceVersion,
    labels: { ...project.labels },
    spec: spec ?? null,
    status,
    server_time: new Date(now).toISOString(),
  };
}

const sum = (counts: readonly (number | undefined)[]) => counts.reduce<number>((total, each) => total + (each ?? 0), 0);
