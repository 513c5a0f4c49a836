import { parseVerifyCheckpoint } from '../verify/checkpoint.ts';
import { parseVerifySettings } from '../verify/settings.ts';
import { type EdgeMigration, type Operation, objectNames } from './api.ts';
import type { VerificationFacts } from './facts.ts';
import { BY_MIGRATION, type Sources } from './observe.ts';
import { parsePlan } from './parse.ts';

/** The operation of the comparison that is under way, or was last; undefined when there was none. */
export function findComparison({ status }: EdgeMigration): Operation | undefined {
  const { current, last } = status.verification ?? {};
  const run = current?.run ?? last?.run;
  return run === undefined ? undefined : `verify-${run}`;
}

/** What exists in the cluster of that comparison. */
export function observeVerification(
  { jobs, configMaps, pods }: Pick<Sources, 'jobs' | 'configMaps' | 'pods'>,
  migration: EdgeMigration,
): VerificationFacts | undefined {
  const operation = findComparison(migration);
  if (operation === undefined) return undefined;
  const isOurs = (owned: { operation: string }) => owned.operation === operation;
  const maps = configMaps.byIndex(BY_MIGRATION, migration.uid).filter(isOurs);
  const rootMap = maps.find(({ name }) => name === objectNames(migration, operation).root);
  const root = rootMap?.fact.kind === 'root' ? rootMap.fact : undefined;
  // Of another plan, whose root somebody has removed.
  const isOfPlan = ({ rootUid }: { rootUid: string | undefined }) =>
    rootMap === undefined || rootUid === undefined || rootUid === rootMap.uid;
  return {
    ranges: parsePlan(root?.plan)?.ranges,
    liveSettings: parseVerifySettings(root?.settings),
    jobs: jobs
      .byIndex(BY_MIGRATION, migration.uid)
      .filter((job) => isOurs(job) && isOfPlan(job))
      .map(({ fact }) => fact),
    checkpoints: maps
      .filter(isOfPlan)
      .flatMap(({ fact }) => (fact.kind === 'checkpoint' ? (parseVerifyCheckpoint(fact.checkpoint) ?? []) : [])),
    podProblems: pods
      .byIndex(BY_MIGRATION, migration.uid)
      .filter(isOurs)
      .map(({ fact }) => fact)
      .sort((a, b) => b.time - a.time)
      .flatMap(({ problem }) => problem ?? []),
  };
}
