/**
 * A long run of everything at once, with faults: `npm run soak -- [--minutes 10] [--rate 200] [--seed N] [--json]`
 *
 * Exits with 1 when Edge is not as it must be; gaps that the sidecars report themselves are printed. The same seed
 * makes clients and faults choose the same again.
 */
import { parseArgs } from 'node:util';
import { describeResult, summarize } from './report.ts';
import { runSoak } from './soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    identities: { type: 'string', default: '10000' },
    json: { type: 'boolean', default: false },
  },
});

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error('stopped')));
const begun = performance.now();
const settings = {
  seconds: Number(values.minutes) * 60,
  rate: Number(values.rate),
  seed: Number(values.seed),
  identities: Number(values.identities),
};
console.error(`seed ${settings.seed}: ${settings.rate} writes a second for ${values.minutes} minutes`);
const result = await runSoak({
  ...settings,
  faultPauseSeconds: [3, 9],
  say: (text) => console.error(`${Math.round((performance.now() - begun) / 1000)} s  ${text}`),
  signal: stop.signal,
});
if (!values.json) console.log(describeResult(result));
console.log(JSON.stringify({ ...settings, ...summarize(result) }));
if (result.violations.length + result.canariesMissing > 0) process.exitCode = 1;
