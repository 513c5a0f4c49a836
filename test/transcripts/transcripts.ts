import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import type { Client } from 'pg';
import { z } from 'zod';

const text = z.object({ text: z.string(), truncated: z.int().optional() });
const body = z.union([text, z.object({ base64: z.string(), truncated: z.int().optional() })]).nullable();
const row = z.record(z.string(), z.unknown());

/** By table: added rows, primary keys of removed ones, and changed columns as `[before, after]`. */
const rowChanges = z.record(
  z.string(),
  z.object({
    inserted: z.array(row).optional(),
    deleted: z.array(z.union([z.int(), z.string()])).optional(),
    updated: z.record(z.string(), z.record(z.string(), z.tuple([z.unknown(), z.unknown()]))).optional(),
  }),
);

const transcript = z.object({
  /** `<group>/<name>`, where the group is roughly the route. */
  id: z.string(),
  /** Statements that were run on the previous state. */
  setup: z.array(z.string()),
  /** Earlier transcripts on the same state, oldest first. */
  after: z.array(z.string()),
  /** The API's answers just before, with the same credentials. */
  lookups: z.array(
    z.object({ method: z.string(), target: z.string(), status: z.int(), body, truncated: z.unknown().optional() }),
  ),
  request: z.object({
    method: z.string(),
    target: z.string(),
    headers: z.array(z.tuple([z.string(), z.string()])),
    framing: z.enum(['none', 'length', 'chunked']),
    body,
  }),
  response: z.object({
    status: z.int(),
    headers: z.array(z.tuple([z.string(), z.string()])),
    body,
    truncated: z.unknown().optional(),
  }),
  changes: rowChanges,
  /** Changes by tasks after the answer. */
  background: z.object({ tasks: z.array(z.string()), changes: rowChanges }).optional(),
});

export type Transcript = z.infer<typeof transcript>;
export type RowChanges = z.infer<typeof rowChanges>;
export type Body = z.infer<typeof body>;

const here = (name: string) => new URL(name, import.meta.url);

/** All transcripts, in the order of their recording; see README.md. */
export async function readTranscripts(): Promise<Transcript[]> {
  const lines = gunzipSync(await readFile(here('transcripts.jsonl.gz')))
    .toString('utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => transcript.parse(JSON.parse(line)));
}

/** Loads the initial state of every transcript into an empty database with Core's schema. */
export async function loadState(client: Client): Promise<void> {
  await client.query(await readFile(here('state.sql'), 'utf8'));
}

/** The bytes of a recorded body; undefined if there was none. */
export function bytesOf(recorded: Body): Buffer | undefined {
  if (recorded === null) return undefined;
  return 'text' in recorded ? Buffer.from(recorded.text) : Buffer.from(recorded.base64, 'base64');
}

/** Restores the rows to just before the request; to be called in a transaction that is rolled back. */
export async function replayUntil(
  client: Client,
  one: Transcript,
  all: ReadonlyMap<string, Transcript>,
): Promise<void> {
  await client.query(`SET LOCAL session_replication_role = 'replica'`);
  for (const statement of one.setup) await client.query(statement);
  for (const id of one.after) {
    const earlier = all.get(id);
    if (earlier === undefined) throw new Error(`${one.id} comes after ${id}, which is not recorded`);
    await applyChanges(client, earlier.changes);
    await applyChanges(client, earlier.background?.changes ?? {});
  }
}

/** Applies the row changes of the API or its tasks. */
export async function applyChanges(client: Client, changes: RowChanges): Promise<void> {
  for (const [table, { inserted = [], deleted = [], updated = {} }] of Object.entries(changes)) {
    const key = inserted.some((one) => !('id' in one)) || table.endsWith('environmentfeatureversion') ? 'uuid' : 'id';
    if (deleted.length > 0) {
      await client.query(`DELETE FROM ${table} WHERE ${key}::text = ANY ($1)`, [deleted.map(String)]);
    }
    for (const [id, columns] of Object.entries(updated)) {
      const after = Object.fromEntries(Object.entries(columns).map(([name, [, value]]) => [name, value]));
      const names = Object.keys(after).join(', ');
      await client.query(
        `UPDATE ${table} SET (${names}) = ROW (${Object.keys(after).map((name) => `new.${name}`)})
           FROM json_populate_record(NULL::${table}, $1) new WHERE ${table}.${key}::text = $2`,
        [JSON.stringify(after), id],
      );
    }
    if (inserted.length > 0) {
      const names = Object.keys(inserted[0] ?? {}).join(', ');
      await client.query(
        `INSERT INTO ${table} (${names}) SELECT ${names} FROM json_populate_recordset(NULL::${table}, $1)`,
        [JSON.stringify(inserted)],
      );
    }
  }
}
