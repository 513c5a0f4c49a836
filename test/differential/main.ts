import { parseArgs } from 'node:util';
import { FAMILIES, type FamilyName } from './cases/families.ts';
import { findPython } from './python.ts';
import { describeFailure, JUDGES, type JudgeName, type RunResult, run } from './run.ts';

/** `npm run differential`: judges thousands of generated requests, and exits with 1 when a write is silently missed. */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    cases: { type: 'string', default: '12000' },
    seed: { type: 'string', default: process.env['SEED'] ?? String(Math.floor(Math.random() * 0x7fffffff)) },
    judge: { type: 'string', multiple: true },
    family: { type: 'string', multiple: true },
    path: { type: 'string' },
  },
});

const say = (text: string) => process.stderr.write(`${text}\n`);

function known<T extends string>(given: readonly string[] | undefined, all: readonly T[], what: string): readonly T[] {
  const wrong = given?.find((name) => !all.includes(name as T));
  if (wrong !== undefined) throw new Error(`There is no ${what} ${wrong}; there are ${all.join(', ')}`);
  return (given as T[] | undefined) ?? all;
}

function summary({ verdicts, seconds }: RunResult) {
  return {
    cases: Object.values(verdicts).reduce((sum, count) => sum + count, 0),
    silent: verdicts.silent,
    wrongWithGap: verdicts.wrongWithGap,
    gaps: verdicts.gap + verdicts.wrongWithGap,
    seconds: Math.round(seconds * 10) / 10,
  };
}

if (findPython() === undefined) {
  say('No Python 3 with venv and ensurepip on the PATH: nothing can be judged');
  process.exit(process.env['CI'] === undefined ? 0 : 1);
}

const seed = Number(values.seed);
say(`Seed ${seed}`);
const result = await run({
  seed,
  cases: values.path === undefined ? Number(values.cases) : 1,
  judges: known(values.judge, JUDGES, 'judge') as readonly JudgeName[],
  families: known(values.family, Object.keys(FAMILIES) as FamilyName[], 'family'),
  ...(values.path !== undefined && { path: values.path }),
});
for (const failure of result.failures) say(describeFailure(failure, seed));
say(JSON.stringify(result.verdicts));
const text = summary(result);
process.stdout.write(
  values.json ? `${JSON.stringify(text)}\n` : `${text.cases} cases in ${text.seconds} s, ${text.silent} silent\n`,
);
process.exitCode = result.failures.length > 0 ? 1 : 0;
