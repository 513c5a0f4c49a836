import type { Operation, Spec } from '@edge-migration/contract/edge-migration/api.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import type { CoreEnvironment } from '@edge-migration/identity/core/identity.ts';
import { readCheckpoint } from '../copy/checkpoint.ts';
import { describePlanned, type MeasuredRange, planRanges } from '../copy/ranges.ts';
import { createCopyWork, createVerifyWork, type JobWork, type WorkSource } from '../job/work.ts';
import { CIPHER_KEY_FILE, createCipherKey } from '../verify/checkpoint-cipher.ts';
import { planVerification } from '../verify/ranges.ts';
import type { ActionContext } from './act/context.ts';
import type { Action } from './actions.ts';
import type { PlannedRange } from './facts.ts';

/** What is divided into ranges, and how. */
export interface PlanSource {
  readonly core: Core;
  readonly environments: readonly CoreEnvironment[];
  readonly spec: Spec;
  /** Joins neighbouring ranges until they take no more than this share of the room that there is for all. */
  readonly fit: (ranges: MeasuredRange[], share: number) => MeasuredRange[];
  readonly signal: AbortSignal;
}

/** Ranges, and the files that their pods are given: one for each range, named by its id, and others. */
export interface RangePlan {
  readonly ranges: readonly PlannedRange[];
  readonly files: ReadonlyMap<number | string, string>;
}

/**
 * One kind of work on ranges: what it reads, writes and concludes. Everything that plans ranges and runs Jobs goes by it,
 * and knows no kind; what is decided from the facts of a migration is its `WorkKind` (range-work.ts).
 */
export interface WorkDefinition {
  /** The program of its pods, appended to their template's arguments, which are Node's. */
  readonly entryPoint: string;
  /** The setting with its pods' template. */
  readonly template: keyof Pick<ActionContext, 'template' | 'verifyTemplate'>;
  readonly plan: (source: PlanSource) => Promise<RangePlan>;
  /** What each pod is told. */
  readonly instruct: (source: WorkSource, settings: Instructions) => JobWork;
  /** Its pods may write documents. */
  readonly mayWrite: boolean;
  /** Carried out each time before pods are started. */
  readonly beforeStart: readonly Action[];
  /** Its pods may end with writes on their way, which are waited for before it is complete. */
  readonly leavesWrites: boolean;
  /**
   * Whether a checkpoint shows that its range is done, so that no further attempt begins for it; undefined if another one
   * does no harm.
   */
  readonly isDone?: (checkpoint: string) => boolean;
}

interface Instructions {
  readonly pageMaxAgeSeconds: number;
  readonly comparison: Extract<Action, { kind: 'createJob' }>['comparison'];
}

/** A plan counts what a copy would write. */
const PLAN: WorkDefinition = {
  entryPoint: 'bin/copy.ts',
  template: 'template',
  plan: planCopy,
  instruct: createCopyWork,
  mayWrite: false,
  beforeStart: [],
  leavesWrites: false,
  isDone: (checkpoint) => readCheckpoint(checkpoint)?.finished === true,
};

/** A copy writes, and is shown in Flagsmith's dashboard. */
const COPY: WorkDefinition = { ...PLAN, mayWrite: true, beforeStart: [{ kind: 'markStarted' }], leavesWrites: true };

/** A comparison reads both stores; a repair writes, and waits for its own writes. */
const COMPARISON: WorkDefinition = {
  entryPoint: 'bin/verify.ts',
  template: 'verifyTemplate',
  plan: planComparison,
  instruct: (source, { comparison }) => createVerifyWork(source, comparison),
  mayWrite: true,
  beforeStart: [],
  leavesWrites: false,
};

export function definitionOf(operation: Operation): WorkDefinition {
  switch (operation) {
    case 'plan':
      return PLAN;
    case 'copy':
      return COPY;
    default:
      return COMPARISON;
  }
}

/** Newer identities than the newest before counting are not in the plan: at its end a copy checks what it has read. */
async function planCopy({ core, environments, spec, fit, signal }: PlanSource): Promise<RangePlan> {
  const newestId = await core.identities.newestId(signal);
  const ranges = fit(await planRanges(core, environments, spec.copy.parallelism, signal), 1);
  const planned = ({ bySegment }: MeasuredRange) => ({ planned: describePlanned(bySegment, newestId) });
  return { ranges, files: new Map(ranges.map((range) => writeRange(range, planned(range)))) };
}

async function planComparison({ core, environments, spec, fit, signal }: PlanSource): Promise<RangePlan> {
  // The other half is for Edge's direction, which has the same boundaries.
  const half = (all: MeasuredRange[]) => fit(all, 1 / 2);
  const ranges = await planVerification(core, environments, spec.copy.parallelism, half, signal);
  const files = new Map<number | string, string>(
    ranges.map((range) => writeRange(range, { regions: spec.verify.regions })),
  );
  return { ranges, files: files.set(CIPHER_KEY_FILE, createCipherKey()) };
}

/** @param settings further ones of the range's pod */
const writeRange = (
  { rangeId, segments }: { readonly rangeId: number; readonly segments: readonly object[] },
  settings: object,
): [number, string] => [rangeId, JSON.stringify({ rangeId, segments, ...settings })];
