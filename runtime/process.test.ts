import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { COMPILED_CODE } from '@edge-migration/test/cluster/cache.ts';
import { expect, onTestFinished, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('testing/service-process.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  /** Its log, from the moment it was asked to stop. */
  readonly said: readonly Record<string, unknown>[];
}

/** Asks a service to stop as soon as it runs; `ending` is how it continues from there. */
async function stop(ending: string): Promise<Ended> {
  const service = spawn(process.execPath, [PROGRAM, ending], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], ...COMPILED_CODE },
  });
  onTestFinished(() => void service.kill('SIGKILL'));
  const closed = once(service, 'close') as Promise<[number | null]>;
  const said: Record<string, unknown>[] = [];
  for await (const line of createInterface(service.stdout)) {
    const { level, msg, error, err } = JSON.parse(line);
    if (msg === 'running') service.kill('SIGTERM');
    else said.push({ level, msg, ...(error !== undefined && { error }), ...(err && { err: err.message }) });
  }
  const [code] = await closed;
  return { code, said: said.slice(1) };
}

test.each([
  ['ends in order', 'orderly'],
  ["throws the signal's reason", 'stop'],
  ["throws an error caused by the signal's reason", 'cause'],
])('a service that %s when it is stopped exits with 0', async (_, ending) => {
  expect(await stop(ending)).toEqual({ code: 0, said: [{ level: 'info', msg: 'stopped' }] });
});

test('a failure while a service stops is reported, and the exit code is 1', async () => {
  const said = [{ level: 'fatal', msg: 'ended', err: 'the last report is lost' }];
  expect(await stop('fault')).toEqual({ code: 1, said });
});

test('an expected error is reported by its message alone', async () => {
  expect(await stop('expected')).toEqual({ code: 1, said: [{ level: 'fatal', msg: 'ended', error: 'not in time' }] });
});
