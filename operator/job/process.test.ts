import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { COMPILED_CODE } from '@edge-migration/test/cluster/cache.ts';
import { expect, onTestFinished, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('testing/worker-process.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  /** On standard error. */
  readonly said: string;
}

/** Asks a worker to stop as soon as it works; `ending` is how it continues from there. */
async function stop(ending: string): Promise<Ended> {
  const worker = spawn(process.execPath, [PROGRAM, ending], { env: { PATH: process.env['PATH'], ...COMPILED_CODE } });
  onTestFinished(() => void worker.kill('SIGKILL'));
  const closed = once(worker, 'close') as Promise<[number | null]>;
  let said = '';
  worker.stderr.on('data', (chunk) => {
    said += chunk;
  });
  worker.stdout.once('data', () => worker.kill('SIGTERM'));
  const [code] = await closed;
  return { code, said };
}

test.each([
  ["throws the signal's reason", 'stop'],
  ["throws an error caused by the signal's reason", 'cause'],
])('a worker that %s when it is stopped during its work exits with 143', async (_, ending) => {
  expect((await stop(ending)).code).toBe(143);
});

test('a worker that has completed its work when it is stopped exits with 0', async () => {
  expect(await stop('orderly')).toEqual({ code: 0, said: '' });
});

test.each([
  ['fault', 65, /^Error: the last page is lost\n {4}at /],
  ['transient', 75, /^the last checkpoint is not saved\n$/],
  ['misconfigured', 64, /^the table is another one now\n$/],
])('a failure while a worker stops is reported, and has its own exit code: %s is %d', async (ending, code, said) => {
  expect(await stop(ending)).toEqual({ code, said: expect.stringMatching(said) });
});
