import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as sendRequest,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { readRequest, sendReply } from '@edge-migration/test/core/api/http.ts';
import type { User } from '@edge-migration/test/core/api/rest/access.ts';
import { createRouter } from '@edge-migration/test/core/api/router.ts';
import { queryWith, type Session, typeParsers } from '@edge-migration/test/core/api/store/session.ts';
import { Client } from 'pg';
import { changesBetween, rowsOf } from './row-changes.ts';
import { bytesOf, loadState, type RowChanges, replayUntil, type Transcript } from './transcripts.ts';

/** The time of the requests: after all recorded ones, and before anything scheduled. */
const NOW = '2026-11-28T20:45:00+00:00';

/** The users with the credentials of the recordings. */
const USERS: ReadonlyMap<string, User> = new Map([
  ['{{admin}}', { role: 'admin', organisations: [11n], password: 'made-up-pass-1x' }],
  ['{{master}}', { role: 'admin', organisations: [11n] }],
  ['{{member}}', { role: 'member', organisations: [11n], password: 'made-up-pass-1x' }],
  ['{{owner2}}', { role: 'admin', organisations: [12n], password: 'made-up-pass-1x' }],
]);

/** Our own Core API's reaction to a recorded request. */
export interface Replayed {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly changes: RowChanges;
  /** Changes by its tasks after the answer. */
  readonly background: RowChanges;
}

/** Our own Core API on the recorded rows, which are restored after each request. */
export interface RecordedCore extends AsyncDisposable {
  replay(transcript: Transcript, all: ReadonlyMap<string, Transcript>): Promise<Replayed>;
}

/** @param databaseUrl an empty database with Core's schema */
export async function startRecordedCore(databaseUrl: string): Promise<RecordedCore> {
  const client = new Client({ connectionString: databaseUrl, types: typeParsers });
  await client.connect();
  await prepare(client);
  const initial = await rowsOf(client);
  const api = await startApi(nestedSession(client));

  return {
    async replay(transcript, all) {
      await client.query('BEGIN');
      try {
        await replayUntil(client, transcript, all);
        await client.query(`SET LOCAL session_replication_role = 'origin'`);
        const isInitial = transcript.setup.length + transcript.after.length === 0;
        const before = isInitial ? initial : await rowsOf(client);
        const answer = await send(api.port, transcript);
        const answered = await rowsOf(client);
        const hadTasks = await api.runTasks();
        const after = hadTasks ? await rowsOf(client) : answered;
        return { ...answer, changes: changesBetween(before, answered), background: changesBetween(answered, after) };
      } finally {
        await client.query('ROLLBACK');
      }
    },
    async [Symbol.asyncDispose]() {
      await api.close();
      await client.end();
    },
  };
}

async function prepare(client: Client): Promise<void> {
  await loadState(client);
  // The recording's clock hides that of Postgres.
  await client.query(`
    CREATE SCHEMA recorded;
    CREATE FUNCTION recorded.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timestamptz '${NOW}' $$;
    SET search_path = recorded, pg_catalog, public;
    SET timezone = 'UTC'`);
  const { rows } = await client.query<{ name: string }>(
    `SELECT quote_ident(sequencename) AS name FROM pg_sequences WHERE schemaname = 'public' ORDER BY name`,
  );
  // No two rows share an id, even in different tables: the ids in an answer identify what they refer to.
  for (const [index, { name }] of rows.entries()) {
    await client.query(`SELECT setval('public.${name}', ${(index + 1) * 1_000_000})`);
  }
}

/** Commits are savepoints of the transaction that is finally rolled back; checks at commit are still made. */
function nestedSession(client: Client): Session {
  const query = queryWith(client);
  const atomic: Session['atomic'] = async (work) => {
    await client.query('SAVEPOINT commit');
    try {
      const result = await work(query);
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      await client.query('SET CONSTRAINTS ALL DEFERRED');
      await client.query('RELEASE SAVEPOINT commit');
      return result;
    } catch (error) {
      await client.query('ROLLBACK TO SAVEPOINT commit');
      throw error;
    }
  };
  const alone = oneByOne<Session['read']>((statement, values) => atomic((run) => run(statement, values)));
  return { read: alone, write: alone, atomic };
}

/** Views may run several queries at once, which one connection cannot nest in savepoints. */
function oneByOne<F extends (...given: never[]) => Promise<unknown>>(run: F): F {
  let last: Promise<unknown> = Promise.resolve();
  return ((...given) => {
    const next = last.then(() => run(...given));
    last = next.catch(() => undefined);
    return next;
  }) as F;
}

/** Without the slots, faults and clock of a worker; tasks wait until they are run explicitly. */
async function startApi(session: Session) {
  let tasks: ((session: Session) => Promise<void>)[] = [];
  const route = createRouter({ environmentCacheSeconds: 0, users: USERS, now: Date.now, onError: () => {} });
  const later = (task: (typeof tasks)[number]) => void tasks.push(task);
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) =>
    sendReply(response, await route({ ...readRequest(request), session, later }), false),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    /** A task's result is not reported. @returns whether there was any */
    async runTasks(): Promise<boolean> {
      const due = tasks;
      tasks = [];
      for (const task of due) await task(session).catch(() => undefined);
      return due.length > 0;
    },
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function send(port: number, { request }: Transcript): Promise<Pick<Replayed, 'status' | 'headers' | 'body'>> {
  const { method, target, framing } = request;
  const body = bytesOf(request.body);
  const headers = [['Host', 'flags.example'], ...request.headers].flat();
  if (framing === 'chunked') headers.push('Transfer-Encoding', 'chunked');
  if (framing === 'length') headers.push('Content-Length', String(body?.length ?? 0));
  const sent = sendRequest({ host: '127.0.0.1', port, method, path: target, headers, agent: false });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const received = await buffer(response);
  return { status: response.statusCode ?? 0, headers: response.headers, body: received.toString() };
}
