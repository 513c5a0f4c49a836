import {
  type EdgeMigration,
  type Operation,
  objectNames,
  specSchema,
} from '@edge-migration/contract/edge-migration/api.ts';
import { comparisonSchema } from '@edge-migration/contract/edge-migration/verification-status.ts';
import { z } from 'zod';

const spec = specSchema.shape;
const seconds = z.int().positive();

/** The work of pods of every kind. */
const jobWorkSchema = z.strictObject({
  projectId: spec.projectId,
  /** Uid of the EdgeMigration; objects found under its names must belong to this one. */
  migrationUid: z.string().min(1),
  /** Namespace of the ConfigMaps. */
  namespace: z.string().min(1),
  /** The ids of the ranges by the Job's index. */
  rangeIds: z.array(z.int().min(0)).min(1),
  /** The checkpoint's ConfigMap is called `<checkpointName>-<range id>`. */
  checkpointName: z.string().min(1),
  /** ConfigMap that owns the checkpoints and whose key `settings` sets the speed and manner of the work. */
  settingsName: z.string().min(1),
  /** An unanswered write can no longer take effect after this time (docs/design.md, "Convergence", rule 9). */
  lateWriteSeconds: seconds,
});

export const copyWorkSchema = jobWorkSchema.extend({
  /** `Plan` reads and counts only. */
  mode: spec.mode.unwrap(),
  /** A page that was read longer ago is read again instead of written (docs/design.md, "Convergence", rule 4). */
  pageMaxAgeSeconds: seconds,
});

export const verifyWorkSchema = jobWorkSchema.extend({
  mode: comparisonSchema.shape.mode,
  /** Once the replay window has closed, Edge is the authority, and repairs only insert what it lacks. */
  authority: comparisonSchema.shape.authority,
  onConflict: spec.copy.unwrap().shape.onConflict.unwrap(),
  /** Samples with identifiers instead of their hashes. */
  clearIdentifiers: spec.verify.unwrap().shape.clearIdentifiers.unwrap(),
});

/**
 * A pod's part of one migration: the operator writes it into the Job, as one JSON document in `EDGE_MIGRATION_WORK`.
 * Anyone who may read Jobs can read it: boundaries of ranges, which are identifiers, are in a Secret. Settings that may
 * change while a pod runs are in the ConfigMap that it follows.
 */
export type JobWork = z.infer<typeof jobWorkSchema>;
export type CopyWork = z.infer<typeof copyWorkSchema>;
export type VerifyWork = z.infer<typeof verifyWorkSchema>;

export interface WorkSource {
  readonly migration: EdgeMigration;
  readonly operation: Operation;
  /** The operator's own. */
  readonly namespace: string;
  /** Name of the ConfigMap that owns everything else of the plan, copy or comparison. */
  readonly settingsName: string;
  readonly rangeIds: readonly number[];
  readonly lateWriteSeconds: number;
}

/** @throws z.ZodError for an EdgeMigration without a spec, which no caller passes */
export function createCopyWork(
  source: WorkSource,
  { pageMaxAgeSeconds }: Pick<CopyWork, 'pageMaxAgeSeconds'>,
): CopyWork {
  const mode = source.operation === 'plan' ? 'Plan' : 'Migrate';
  return copyWorkSchema.parse({ ...describeJob(source), mode, pageMaxAgeSeconds });
}

/** @throws z.ZodError without a comparison, or for an EdgeMigration without a spec, which no caller passes */
export function createVerifyWork(
  source: WorkSource,
  comparison: Pick<VerifyWork, 'mode' | 'authority'> | undefined,
): VerifyWork {
  const { copy, verify } = source.migration.spec ?? {};
  return verifyWorkSchema.parse({
    ...describeJob(source),
    ...comparison,
    onConflict: copy?.onConflict,
    clearIdentifiers: verify?.clearIdentifiers,
  });
}

function describeJob({ migration, operation, namespace, settingsName, rangeIds, lateWriteSeconds }: WorkSource) {
  return {
    projectId: migration.spec?.projectId,
    migrationUid: migration.uid,
    namespace,
    rangeIds,
    checkpointName: objectNames(migration, operation).checkpointPrefix,
    settingsName,
    lateWriteSeconds,
  };
}

/** As the value of a variable, in which Kubernetes would replace `$(NAME)`. */
export const writeWork = (work: JobWork): string => JSON.stringify(work).replaceAll('$', '\\u0024');
