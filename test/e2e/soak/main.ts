/**
 * A long run with everything and with faults: `npm run soak -- [--minutes 10] [--rate 200] [--seed N] [--json]
 *   [--scenes streams,clocks,standby,disks,home] [--regions 2]`
 *
 * Processes are killed and frozen; in addition, all scenes by default: NATS loses its tail and its stream, clocks are
 * stepped, Core's address leads to a stale standby, the sidecars' disks hang (needs a C compiler). With two regions Edge's
 * tables are global tables with Edge clients in both; replication takes up to 20 s, and the regions are apart for a minute.
 * Then there is one more scene, `home`: for a fifth of the load, and for moments, the product cannot reach the home
 * region, or may not write in one of the two, so that appliers switch to the other one and come back.
 *
 * Exits with 1 when Edge is wrong, except for writes inside reported gaps, which are printed. The same seed
 * makes clients and faults repeat their choices.
 */
import { inspect, parseArgs } from 'node:util';
import { SCENES, type Scene } from './faults/scenes.ts';
import { describeResult, summarize } from './report.ts';
import { runSoak } from './soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    identities: { type: 'string', default: '10000' },
    scenes: { type: 'string', default: SCENES.join() },
    regions: { type: 'string', default: '1' },
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
  regions: chooseRegions(values.regions),
  scenes: values.scenes.split(',').filter((name) => name !== '') as Scene[],
};
const unknown = settings.scenes.filter((name) => !SCENES.includes(name));
if (unknown.length > 0) throw new TypeError(`Unknown scene ${unknown}; there are ${SCENES}`);
console.error(`seed ${settings.seed}: ${settings.rate} writes a second for ${values.minutes} minutes`);
const result = await runSoak({
  ...settings,
  faultPauseSeconds: [3, 9],
  say: (text) => console.error(`${Math.round((performance.now() - begun) / 1000)} s  ${text}`),
  signal: stop.signal,
}).catch((error: unknown) => {
  // What failed first is hidden where something fails at the end, too.
  console.error(inspect(error, { showHidden: true, depth: 8 }));
  process.exit(1);
});
if (!values.json) console.log(describeResult(result));
console.log(JSON.stringify({ ...settings, ...summarize(result) }));
// A canary lost in a gap is judged by its document.
if (result.violations.length + (result.gaps.length === 0 ? result.canariesMissing : 0) > 0) process.exitCode = 1;
if (settings.scenes.includes('home') && result.regional?.writtenElsewhere === 0) {
  console.error('Nothing was written in the other region: the scene "home" has shown nothing');
  process.exitCode = 1;
}

function chooseRegions(text: string): 1 | 2 {
  if (text === '1') return 1;
  if (text === '2') return 2;
  throw new TypeError('--regions: there are one or two');
}
