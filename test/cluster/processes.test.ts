import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { ProcessError, startProcess, waitUntilReady } from './processes.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { waitFor } from './wait.ts';

// A busy machine needs more time.
vi.setConfig({ testTimeout: 600_000 });

let folder: string;
beforeEach(() => {
  folder = createFolder('test');
});
afterEach(() => removeFolder(folder));

const shell = (script: string) => startProcess({ name: 'shell', command: '/bin/sh', args: ['-c', script], folder });

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a process that ignores its stop signal is killed with its child after the grace period', async () => {
  const child = await shell("trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.05; done");
  const grandchild = Number(await waitFor(() => child.tail().then((text) => text || null), { for: 'output' }));
  expect(await child.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
  await waitFor(() => !isAlive(grandchild), { for: 'the end of the grandchild' });
});

test('a process that exits before it is ready is an error with the end of its log', async () => {
  const child = await shell('echo cannot bind; exit 3');
  await expect(waitUntilReady(child, () => false)).rejects.toThrow(/ended with exit code 3 .*\ncannot bind/);
});

test('a command that does not exist is an error that names it', async () => {
  const start = startProcess({ name: 'nothing', command: '/no/such/command', folder });
  await expect(start).rejects.toThrow(ProcessError);
  await expect(start).rejects.toThrow('/no/such/command');
});

const Facts = z.object({ pids: z.array(z.number()), folders: z.array(z.string()) });

/** Starts a process with running services and a data folder for each. */
async function startCaller(): Promise<{ caller: ChildProcess; facts: z.output<typeof Facts> }> {
  const script = `
    import { startNats } from './nats.ts';
    import { startPostgres } from './postgres.ts';
    import { startProcess } from './processes.ts';
    import { createFolder } from './reaper.ts';
    const [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    const folder = createFolder('stubborn');
    const script = "trap '' TERM INT; while :; do sleep 0.1; done";
    const stubborn = await startProcess({ name: 'stubborn', command: '/bin/sh', args: ['-c', script], folder });
    console.log(JSON.stringify({ pids: [nats.pid, postgres.pid, stubborn.pid], folders: [folder] }));`;
  const caller = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: caller.stdout });
  const [line] = await once(lines, 'line');
  return { caller, facts: Facts.parse(JSON.parse(line)) };
}

test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
  'a caller that ends by %s leaves no process behind',
  async (signal) => {
    const { caller, facts } = await startCaller();
    expect(facts.pids.every(isAlive)).toBe(true);
    caller.kill(signal);
    await once(caller, 'exit');
    await waitFor(() => !facts.pids.some(isAlive), { for: 'the end of its processes' });
    await waitFor(() => !facts.folders.some(existsSync), { for: 'its folders to be deleted' });
  },
);
