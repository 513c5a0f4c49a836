import { type EdgeMigration, type Operation, objectNames } from './api.ts';
import type { JobFact, PodProblem } from './facts.ts';
import { type Plan, parsePlan } from './parse.ts';
import { BY_MIGRATION, type Sources } from './sources.ts';

/** What exists in the cluster for one operation of an EdgeMigration: its plan, its copy or one of its comparisons. */
export interface OperationFacts<Checkpoint> {
  /** Undefined until the ranges are written down. */
  plan: Plan | undefined;
  /** What running pods read, as JSON. */
  settings: string | undefined;
  jobs: JobFact[];
  checkpoints: Checkpoint[];
  /** Pods that cannot start or have failed, newest first. */
  podProblems: PodProblem[];
}

/** Gathers it from the caches. A checkpoint that `parseCheckpoint` finds to be none is left out. */
export function observeOperation<Checkpoint>(
  { jobs, configMaps, pods }: Pick<Sources, 'jobs' | 'configMaps' | 'pods'>,
  migration: EdgeMigration,
  operation: Operation,
  parseCheckpoint: (text: string) => Checkpoint | undefined,
): OperationFacts<Checkpoint> {
  const isOurs = (owned: { operation: string }) => owned.operation === operation;
  const maps = configMaps.byIndex(BY_MIGRATION, migration.uid).filter(isOurs);
  const { root: rootName } = objectNames(migration, operation);
  const rootMap = maps.find(({ name }) => name === rootName);
  const root = rootMap?.fact.kind === 'root' ? rootMap.fact : undefined;
  // What was done by another plan, whose root somebody has removed, says nothing about the ranges of this one.
  const isOfPlan = ({ rootUid }: { rootUid: string | undefined }) =>
    rootMap === undefined || rootUid === undefined || rootUid === rootMap.uid;
  return {
    plan: parsePlan(root?.plan),
    settings: root?.settings,
    jobs: jobs
      .byIndex(BY_MIGRATION, migration.uid)
      .filter((job) => isOurs(job) && isOfPlan(job))
      .map(({ fact }) => fact),
    checkpoints: maps
      .filter(isOfPlan)
      .flatMap(({ fact }) => (fact.kind === 'checkpoint' ? (parseCheckpoint(fact.checkpoint) ?? []) : [])),
    podProblems: pods
      .byIndex(BY_MIGRATION, migration.uid)
      .filter(isOurs)
      .map(({ fact }) => fact)
      .sort((a, b) => b.time - a.time)
      .flatMap(({ problem }) => problem ?? []),
  };
}
