import { parseArgs } from 'node:util';
import { runDemo } from './demo.ts';

const { values } = parseArgs({
  options: {
    identities: { type: 'string', default: '20000' },
    keep: { type: 'boolean', default: false },
    web: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`npm run demo -- [--identities N] [--keep] [--web] [--json]

  --identities N   identities of the seeded project (20000)
  --keep           leave everything running and print how to look around; Ctrl-C ends it
  --web            instead of the show: projects in every state, and the console to look at them; Ctrl-C ends it
  --json           the last line is one JSON object with what was measured`);
} else {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error('stopped')));
  try {
    const { keep, web, json } = values;
    await runDemo({ identities: Number(values.identities), keep, web, json, signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.exitCode = 130;
  }
}
