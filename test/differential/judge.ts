import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { freePort } from '../cluster/ports.ts';
import { type ManagedProcess, startProcess, waitUntilReady } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { providePython, type Release } from './python.ts';
import { DIRECT, exchange } from './wire.ts';

const environment = z.int();

/** Everything that one request would have made Core commit; ids are those of `app/judge/world.py`. */
const write = z.discriminatedUnion('kind', [
  /** A new identity. */
  z.strictObject({ kind: z.literal('identity'), environment, identifier: z.string() }),
  /** An identity that no longer exists under this name or id. */
  z.strictObject({ kind: z.literal('gone'), environment, identifier: z.string() }),
  z.strictObject({ kind: z.literal('trait'), environment, identifier: z.string(), key: z.string() }),
  z.strictObject({
    kind: z.literal('override'),
    environment,
    identityId: z.int(),
    identifier: z.string(),
    feature: z.int(),
    /** Id of its row; null if Core does not report it. */
    state: z.int().nullable(),
    /** The row now belongs to another identity, or to the environment itself. */
    left: z.boolean(),
  }),
  /** All identities: their existence, a trait of each, or their overrides. */
  z.strictObject({
    kind: z.literal('environment'),
    environment,
    key: z.string().optional(),
    overrides: z.literal('all').optional(),
    renamed: z.string().optional(),
  }),
  z.strictObject({ kind: z.literal('feature'), project: z.int(), feature: z.int() }),
  z.strictObject({ kind: z.literal('project'), project: z.int(), deleted: z.boolean() }),
  /** Anything. */
  z.strictObject({ kind: z.literal('unknown') }),
]);
export type CoreWrite = z.output<typeof write>;

const entry = z.strictObject({
  method: z.string(),
  path: z.string(),
  script: z.string(),
  query: z.string(),
  secure: z.boolean(),
  status: z.int(),
  /** The view that was reached; null if it does not write. */
  route: z.string().nullable(),
  writes: z.array(write),
});
export type JournalEntry = z.output<typeof entry>;

/** Gunicorn with Django and the judge's application. */
export interface Judge extends AsyncDisposable {
  readonly port: number;
  /** The requests answered since the last call, once all requests received so far are answered. */
  take(settle: boolean): Promise<JournalEntry[]>;
}

export interface JudgeSettings {
  readonly release: Release;
  /** Gunicorn's variable `FORWARDED_ALLOW_IPS`; its own default when undefined. */
  readonly forwardedAllowIps: string | undefined;
}

const APPLICATION = new URL('app/', import.meta.url).pathname;

/** Starts gunicorn as Flagsmith does: one synchronous worker, which handles one connection after the other. */
export async function startJudge({ release, forwardedAllowIps }: JudgeSettings): Promise<Judge> {
  const python = await providePython(release);
  const folder = createFolder('judge');
  const port = await freePort();
  const journal = join(folder, 'journal.jsonl');
  const env = {
    PATH: process.env['PATH'],
    PYTHONDONTWRITEBYTECODE: '1',
    JUDGE_JOURNAL: journal,
    ...(forwardedAllowIps !== undefined && { FORWARDED_ALLOW_IPS: forwardedAllowIps }),
  };
  const args = ['-m', 'gunicorn', 'judge.wsgi:application', '--bind', `127.0.0.1:${port}`, '--workers', '1'];
  const gunicorn = await startProcess({ name: 'gunicorn', command: python, args, env, folder, cwd: APPLICATION });
  await waitUntilReady(gunicorn, () => answers(port));
  const reader = openJournal(journal);
  reader.read();

  return {
    port,
    async take(settle) {
      // The worker is free again once it has answered this one.
      if (settle) await barrier(port, gunicorn);
      return reader.read().filter(({ path }) => path !== BARRIER);
    },
    async [Symbol.asyncDispose]() {
      reader.close();
      await gunicorn.stop(2000);
      await removeFolder(folder);
    },
  };
}

const BARRIER = '/barrier';
const BARRIER_REQUEST = Buffer.from(`GET ${BARRIER} HTTP/1.1\r\nHost: judge\r\nConnection: close\r\n\r\n`);

async function answers(port: number): Promise<boolean> {
  return (await exchange({ port, from: DIRECT, bytes: BARRIER_REQUEST })).status !== undefined;
}

async function barrier(port: number, gunicorn: ManagedProcess): Promise<void> {
  if (!(await answers(port))) throw new Error(`Gunicorn does not answer\n${await gunicorn.tail()}`);
}

interface JournalReader {
  read(): JournalEntry[];
  close(): void;
}

/** A line is in the file before its answer is sent, so everything answered can be read at once. */
function openJournal(path: string): JournalReader {
  const file = openSync(path, 'r');
  const buffer = Buffer.alloc(1024 * 1024);
  let position = 0;
  return {
    read() {
      const entries: JournalEntry[] = [];
      let text = '';
      for (let length = 1; length > 0; position += length) {
        length = readSync(file, buffer, 0, buffer.length, position);
        text += buffer.toString('utf8', 0, length);
      }
      for (const line of text.split('\n')) if (line !== '') entries.push(entry.parse(JSON.parse(line)));
      return entries;
    },
    close: () => closeSync(file),
  };
}
