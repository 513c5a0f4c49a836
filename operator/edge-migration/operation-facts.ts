import { type EdgeMigration, type Operation, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import type { JobFact, PodProblem } from './facts.ts';
import { type Owned, type Plan, parsePlan } from './parse.ts';
import type { PodFact } from './pods.ts';
import { BY_MIGRATION, type Sources } from './sources.ts';

/** What exists in the cluster for one operation of an EdgeMigration: its plan, its copy or one of its comparisons. */
export interface OperationFacts<Checkpoint> {
  /** Undefined until the ranges are stored. */
  plan: Plan | undefined;
  /** The settings that running pods read, as JSON. */
  settings: string | undefined;
  jobs: JobFact[];
  checkpoints: Checkpoint[];
  /** Pods that cannot start or have failed, newest first. */
  podProblems: PodProblem[];
}

/** Gathers them from the caches. A checkpoint that `parseCheckpoint` rejects is left out. */
export function observeOperation<Checkpoint>(
  { jobs, configMaps, pods, clock }: Pick<Sources, 'jobs' | 'configMaps' | 'pods' | 'clock'>,
  migration: EdgeMigration,
  operation: Operation,
  parseCheckpoint: (text: string) => Checkpoint | undefined,
): OperationFacts<Checkpoint> {
  const isOurs = (owned: { operation: string }) => owned.operation === operation;
  const maps = configMaps.byIndex(BY_MIGRATION, migration.uid).filter(isOurs);
  const { root: rootName } = objectNames(migration, operation);
  const rootMap = maps.find(({ name }) => name === rootName);
  const root = rootMap?.fact.kind === 'root' ? rootMap.fact : undefined;
  // Results of another plan, whose root was removed, say nothing about the ranges of this one.
  const isOfPlan = ({ rootUids }: { rootUids: readonly string[] }) =>
    rootMap === undefined || rootUids.length === 0 || rootUids.includes(rootMap.uid);
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
      .toSorted((a, b) => b.fact.time - a.fact.time)
      .flatMap((pod) => findLingering(pod, clock.now()) ?? pod.fact.problem ?? []),
  };
}

/** A pod is gone when its node says so; clocks differ, and even a busy node has said it this much later. */
const LINGERING_MS = 60_000;

function findLingering({ name, fact }: Owned<PodFact>, now: number): PodProblem | undefined {
  if (fact.goneBy === undefined || now - fact.goneBy < LINGERING_MS) return undefined;
  const message = `was deleted, but its node has not confirmed that it has ended: its range waits. Check the node; if it is certainly down, delete the pod with --force`;
  return { pod: name, reason: 'PodNotEnding', message };
}
