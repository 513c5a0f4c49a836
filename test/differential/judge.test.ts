import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WRITES } from './cases/writes.ts';
import { LISTED } from './listed-cases.ts';
import { findPython } from './python.ts';
import { describeFailure, JUDGES, run, settingsOf } from './run.ts';
import { createStage, type Stage } from './stage.ts';
import { isBad } from './verdict.ts';

const python = findPython();
if (python === undefined) process.stdout.write('No Python 3 with venv and ensurepip: nothing is judged\n');
// On CI a machine without it must not look as if everything was judged.
const hasJudge = python !== undefined || process.env['CI'] !== undefined;

/** About half a minute; two minutes beside six busy processes. */
const CASES = 4000;

describe.runIf(hasJudge).each(JUDGES)('a write by Core, judged by %s', (name) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await createStage(settingsOf(name));
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());

  it.each(Object.entries(WRITES))('is covered by an event for an ordinary request: %s', async (route, one) => {
    // A change by a form of the Django admin is in nothing that can be queried.
    const expected = route.startsWith('django.admin') ? 'gap' : 'covered';
    expect(await stage.judge(one)).toMatchObject({ verdict: expected });
  });

  it.each(Object.entries(LISTED))('is covered by an event or a gap for %s', async (_, one) => {
    const judged = await stage.judge(one);
    expect(isBad(judged) ? judged : undefined).toBeUndefined();
  });
});

describe.runIf(hasJudge)('a write by Core', () => {
  it('is in an event or a gap, whatever was sent', { timeout: 900_000 }, async ({ signal }) => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff0000));
    process.stdout.write(`Seed of the generated requests: ${seed}\n`);
    const { verdicts, failures } = await run({ seed, cases: CASES, signal });
    expect(failures.map((failure) => describeFailure(failure, seed)).join('\n')).toBe('');
    // The run is only meaningful if Core wrote something.
    expect(verdicts.covered).toBeGreaterThan(CASES / 10);
  });
});
