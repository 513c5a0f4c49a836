import { readFileSync } from 'node:fs';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import fc from 'fast-check';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Case, show } from './case.ts';
import { FAMILIES, type FamilyName } from './cases/families.ts';
import type { JudgeSettings } from './judge.ts';
import { RELEASES } from './python.ts';
import { createStage, type Judged, type Stage } from './stage.ts';
import { isBad, VERDICTS, type Verdict } from './verdict.ts';

/** `ours`: as set by our values for Flagsmith's chart. */
const TRUSTS = ['ours', 'default'] as const;

/** Name of a judge, as `pinned/ours`: releases, and whose forwarded headers gunicorn believes. */
export type JudgeName = `${(typeof RELEASES)[number]}/${(typeof TRUSTS)[number]}`;
export const JUDGES = RELEASES.flatMap((release) => TRUSTS.map((trust): JudgeName => `${release}/${trust}`));

export function settingsOf(name: JudgeName): JudgeSettings {
  const [release, trust] = name.split('/') as [JudgeSettings['release'], (typeof TRUSTS)[number]];
  return { release, forwardedAllowIps: trust === 'ours' ? valueOfOurs() : undefined };
}

const values = z.object({ api: z.object({ extraEnv: z.object({ FORWARDED_ALLOW_IPS: z.string() }).optional() }) });
const VALUES = new URL('../../replay-sidecar/deploy/flagsmith-values-loopback-api.yaml', import.meta.url);

function valueOfOurs(): string | undefined {
  return values.parse(parse(readFileSync(VALUES, 'utf8'))).api.extraEnv?.FORWARDED_ALLOW_IPS;
}

export interface Failure extends Judged {
  readonly judge: JudgeName;
  readonly family: FamilyName;
  /** fast-check's path of the smallest form found. */
  readonly path: string;
  readonly smallest: Case;
}

export interface RunOptions {
  readonly seed: number;
  /** Over all families and judges. */
  readonly cases: number;
  readonly families?: readonly FamilyName[];
  readonly judges?: readonly JudgeName[];
  /** Only this case of the one family and judge. */
  readonly path?: string;
  /** No case is begun once it is aborted, and the run ends with its reason. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly verdicts: Readonly<Record<Verdict, number>>;
  /** One of each kind, in its smallest form. */
  readonly failures: readonly Failure[];
  readonly seconds: number;
}

/** Number of failures to shrink: each costs many more requests. */
const MAX_FAILURES = 6;
const SHRINK_MS = 15_000;

/**
 * Judges generated cases; the same seed gives the same cases.
 *
 * @throws the error of the first judge that fails, or the signal's reason, once all have stopped
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const { judges = JUDGES } = options;
  const start = systemClock.monotonic();
  const verdicts = Object.fromEntries(VERDICTS.map((verdict) => [verdict, 0])) as Record<Verdict, number>;
  const failed = new AbortController();
  const stopping = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const tally: Tally = { verdicts, kinds: new Set(), stopping };
  const stop = (error: unknown): Failure[] => {
    failed.abort(error);
    return [];
  };
  const failures = await Promise.all(judges.map((name) => runJudge(name, options, tally).catch(stop)));
  stopping.throwIfAborted();
  return { verdicts, failures: failures.flat(), seconds: (systemClock.monotonic() - start) / 1000 };
}

/** State shared by all judges of a run. */
interface Tally {
  readonly verdicts: Record<Verdict, number>;
  /** Kinds of failures seen so far. */
  readonly kinds: Set<string>;
  /** Aborted with the first judge's error, or by the caller. */
  readonly stopping: AbortSignal;
}

async function runJudge(name: JudgeName, options: RunOptions, tally: Tally): Promise<Failure[]> {
  const { families = Object.keys(FAMILIES) as FamilyName[], judges = JUDGES } = options;
  const total = families.reduce((sum, family) => sum + FAMILIES[family].weight, 0);
  // Each has its own cases.
  const seed = options.seed + JUDGES.indexOf(name);
  const failures: Failure[] = [];
  try {
    await using stage = await createStage(settingsOf(name));
    for (const family of families) {
      const runs = Math.ceil((options.cases * FAMILIES[family].weight) / total / judges.length);
      const found = await runFamily(stage, family, { ...options, seed }, runs, tally);
      for (const path of found.slice(0, MAX_FAILURES)) {
        failures.push({ ...(await shrink(stage, family, seed, path)), judge: name, family });
      }
    }
  } catch (cause) {
    throw new Error(`${name}, seed ${options.seed}: ${(cause as Error).message}`, { cause });
  }
  return failures;
}

/** Paths of cases that fail in a new way. */
async function runFamily(
  stage: Stage,
  family: FamilyName,
  { seed, path }: RunOptions,
  runs: number,
  { verdicts, kinds, stopping }: Tally,
): Promise<string[]> {
  const paths: string[] = [];
  let index = 0;
  const property = fc.asyncProperty(FAMILIES[family].cases, async (one) => {
    stopping.throwIfAborted();
    const judged = await judgeCase(stage, one, `case ${path ?? index} of ${family}`);
    verdicts[judged.verdict] += 1;
    const kind = `${family} ${kindOf(judged)}`;
    if (isBad(judged) && !kinds.has(kind)) {
      kinds.add(kind);
      paths.push(path ?? String(index));
    }
    index += 1;
  });
  // What fails here is the end of the run, or a case that cannot be judged: neither is a matter of its size.
  const details = await fc.check(property, {
    seed,
    numRuns: runs,
    endOnFailure: true,
    ...(path !== undefined && { path }),
  });
  if (details.failed) throw details.errorInstance ?? new Error(`The run of ${family} failed`);
  return paths;
}

async function judgeCase(stage: Stage, one: Case, name: string): Promise<Judged> {
  try {
    return await stage.judge(one);
  } catch (cause) {
    throw new Error(`${name} cannot be judged: ${(cause as Error).message}\n${show(one)}`, { cause });
  }
}

function kindOf({ verdict, missing, observation }: Judged): string {
  const routes = observation.through.entries.map(({ route }) => route);
  return JSON.stringify([verdict, routes, missing.map(({ kind }) => kind)]);
}

type Smallest = Omit<Failure, 'judge' | 'family'>;

async function shrink(stage: Stage, family: FamilyName, seed: number, path: string): Promise<Smallest> {
  let smallest: Smallest | undefined;
  const property = fc.asyncProperty(FAMILIES[family].cases, async (one) => {
    const judged = await stage.judge(one);
    if (!isBad(judged)) return;
    smallest = { ...judged, smallest: one, path };
    throw new Error('It fails still');
  });
  const details = await fc.check(property, { seed, path, interruptAfterTimeLimit: SHRINK_MS });
  if (smallest === undefined) throw new Error(`Case ${path} of ${family} fails only sometimes`);
  return { ...smallest, path: details.counterexamplePath ?? path };
}

/** The output needed to understand and reproduce a failure. */
export function describeFailure(failure: Failure, seed: number): string {
  const { direct, through } = failure.observation;
  const lines = [
    `${failure.verdict}: ${show(failure.smallest)}`,
    `  directly: ${direct.status ?? 'no answer'} ${JSON.stringify(direct.entries)}`,
    `  through the sidecar: ${through.status ?? 'no answer'} ${JSON.stringify(through.entries)}`,
    `  events: ${JSON.stringify(through.events.map(({ target, touched }) => ({ target, touched })))}`,
    `  gaps: ${JSON.stringify(through.gaps)}`,
    `  missing: ${JSON.stringify(failure.missing)}`,
    `  again: npm run differential -- --seed ${seed} --judge ${failure.judge} --family ${failure.family} --path ${failure.path}`,
  ];
  return lines.map((line) => (line.length > 1000 ? `${line.slice(0, 1000)}…` : line)).join('\n');
}
