import type { EdgeMigration, Operation } from '@edge-migration/contract/edge-migration/api.ts';
import { parseVerifyCheckpoint } from '../verify/checkpoint.ts';
import { parseVerifySettings } from '../verify/settings.ts';
import type { VerificationFacts } from './facts.ts';
import { observeOperation } from './operation-facts.ts';
import type { Sources } from './sources.ts';

/** The operation of the current or last comparison; undefined when there was none. */
export function findComparison({ status }: EdgeMigration): Operation | undefined {
  const { current, last } = status.verification ?? {};
  const run = current?.run ?? last?.run;
  return run === undefined ? undefined : `verify-${run}`;
}

/** What exists in the cluster of that comparison. */
export function observeVerification(
  sources: Pick<Sources, 'jobs' | 'configMaps' | 'pods' | 'clock'>,
  migration: EdgeMigration,
): VerificationFacts | undefined {
  const operation = findComparison(migration);
  if (operation === undefined) return undefined;
  const { plan, settings, ...facts } = observeOperation(sources, migration, operation, parseVerifyCheckpoint);
  return { ...facts, ranges: plan?.ranges, liveSettings: parseVerifySettings(settings) };
}
