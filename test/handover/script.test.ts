import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readOutcome } from '@edge-migration/operator/handover/outcome.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { findPython } from '../differential/python.ts';
import {
  FLAGSMITH,
  providePath,
  readState,
  type StandInState,
  stateOf,
  TABLE_SETTINGS,
  writeState,
} from './stand-in.ts';

const SCRIPT = await readFile(new URL('../../operator/handover/script.py', import.meta.url), 'utf8');
const TABLES = { environments: 'environments', serverKeys: 'server-keys', environmentsV2: 'environments-v2' };
const WRITES = ['documents 1', 'keys 1', 'meta 1'];

let folder: string;
let path: string | undefined;
let stateFile: string;
let messageFile: string;

beforeAll(() => {
  folder = createFolder('handover-script');
  path = providePath(folder);
  stateFile = join(folder, 'state.json');
  messageFile = join(folder, 'message');
});

afterAll(() => removeFolder(folder));
beforeEach(() => rm(messageFile, { force: true }));

interface Changes {
  state?: Partial<StandInState>;
  want?: Record<string, unknown>;
  settings?: Record<string, string>;
}

/** Runs the script on a state, like the Job's pod. */
async function run({ state, want, settings }: Changes = {}) {
  await writeState(stateFile, stateOf(42, state));
  return again({ ...(want && { want }), ...(settings && { settings }) });
}

async function again({ want, settings }: Omit<Changes, 'state'> = {}) {
  const asked = { project: 42, mode: 'Run', overridesCopied: false, seconds: 30, tables: TABLES, ...want };
  const child = spawn('python', ['manage.py', 'shell', '-c', SCRIPT], {
    cwd: FLAGSMITH,
    env: {
      PATH: path,
      PYTHONDONTWRITEBYTECODE: '1',
      STATE_FILE: stateFile,
      EDGE_MIGRATION_TERMINATION_MESSAGE_FILE: messageFile,
      EDGE_MIGRATION_HANDOVER: JSON.stringify(asked),
      ...TABLE_SETTINGS,
      ...settings,
    },
  });
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    output += data;
  });
  const [exitCode] = await once(child, 'close');
  const message = await readFile(messageFile, 'utf8').catch(() => '');
  const { project, calls = [], tables = {} } = await readState(stateFile);
  return { exitCode, ...readOutcome(message), output, project, calls, tables };
}

describe.skipIf(findPython() === undefined)('the hand-over script', () => {
  test('lets Flagsmith write environments, server keys and _META rows, sets the switch, and writes once more', async () => {
    const { exitCode, outcome, words, project, calls } = await run();
    expect({ exitCode, outcome }).toEqual({ exitCode: 0, outcome: 'done' });
    expect(words).toBe(
      '1 environments with their _META rows and 1 server keys were written, and edge_v2_migration_status, enable_dynamo_db set',
    );
    expect(project).toEqual({ id: 42, enable_dynamo_db: true, edge_v2_migration_status: 'INCOMPLETE' });
    expect(calls).toEqual([...WRITES, 'update edge_v2_migration_status,enable_dynamo_db', ...WRITES]);
  });

  test('changes nothing in Core on a second run', async () => {
    await run();
    const { outcome, words, calls } = await again();
    expect({ outcome, words }).toEqual({
      outcome: 'done',
      words: '1 environments with their _META rows and 1 server keys were written',
    });
    expect(calls.filter((call) => call.startsWith('update'))).toHaveLength(1);
  });

  test('lets Flagsmith count the overrides once they are copied', async () => {
    await run();
    const { project } = await again({ want: { overridesCopied: true } });
    expect(project.edge_v2_migration_status).toBe('COMPLETE');
  });

  test('does not revert what Flagsmith has completed', async () => {
    const project = { id: 42, enable_dynamo_db: true, edge_v2_migration_status: 'COMPLETE' };
    const { project: after } = await run({ state: { project } });
    expect(after).toEqual(project);
  });

  test('does not revert what Flagsmith completes during the run', async () => {
    const { project } = await run({ state: { mood: 'complete' } });
    expect(project).toEqual({ id: 42, enable_dynamo_db: true, edge_v2_migration_status: 'COMPLETE' });
  });

  const on = { id: 42, enable_dynamo_db: true, edge_v2_migration_status: 'INCOMPLETE' };

  test.for([
    ['it has just set', {}],
    ['was set already', { project: on }],
  ] as const)("does not replace Flagsmith's documents with older ones where the switch %s", async ([, state]) => {
    const { outcome, calls, tables } = await run({ state: { ...state, mood: 'edit' } });
    expect(outcome).toBe('done');
    expect(calls.slice(-7)).toEqual(['task', ...WRITES, ...WRITES]);
    expect(tables['documents']).toMatchObject([{ name: { S: 'edited' } }]);
  });

  test('removes what was deleted in Core during the run', async () => {
    const { outcome, calls } = await run({ state: { project: on, mood: 'delete' } });
    expect(outcome).toBe('done');
    expect(calls.slice(4, 7).sort()).toEqual(['delete documents key-42', 'delete keys ser.42', 'delete meta 42']);
  });

  test('fails when the environments change faster than they are written', async () => {
    const { exitCode, outcome, words, calls } = await run({ state: { project: on, mood: 'restless' } });
    expect({ exitCode, outcome }).toEqual({ exitCode: 1, outcome: 'failed' });
    expect(words).toBe("the project's environments change all the time");
    expect(calls.filter((call) => call.startsWith('documents'))).toHaveLength(10);
  });

  test('only reports what it would do in verify mode', async () => {
    const { outcome, words, project, calls } = await run({ want: { mode: 'Verify' } });
    expect({ outcome, calls }).toEqual({ outcome: 'verified', calls: [] });
    expect(words).toBe(
      'this release of Flagsmith can hand over 1 environments with their _META rows and 1 server keys',
    );
    expect(project.enable_dynamo_db).toBe(false);
  });

  test('leaves _META rows and their status alone when they are not requested', async () => {
    const { calls } = await run({ want: { tables: { environments: 'environments', serverKeys: 'server-keys' } } });
    expect(calls).toEqual(['documents 1', 'keys 1', 'update enable_dynamo_db', 'documents 1', 'keys 1']);
  });

  test('does the rest in a release without _META rows', async () => {
    const { outcome, words } = await run({ state: { release: 'old' } });
    expect({ outcome, words }).toEqual({
      outcome: 'done',
      words: '1 environments and 1 server keys were written, and enable_dynamo_db set',
    });
  });

  test('does nothing in an unknown release, and names what is missing', async () => {
    const { exitCode, outcome, words, calls } = await run({ state: { release: 'unknown' } });
    expect({ exitCode, outcome, calls }).toEqual({ exitCode: 3, outcome: 'unknownRelease', calls: [] });
    expect(words).toContain('does not have Environment.objects.filter_for_document_builder');
  });

  test.for<[string, Changes, RegExp]>([
    [
      'writes nowhere',
      { settings: { ENVIRONMENTS_TABLE_NAME_DYNAMO: '' } },
      /no table name in ENVIRONMENTS_TABLE_NAME_DYNAMO/,
    ],
    [
      "writes to another installation's table",
      { settings: { ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO: 'staging-keys' } },
      /the Core API writes to staging-keys, but the operator looks at server-keys/,
    ],
    ['has another database', { want: { project: 43 } }, /database has no project 43/],
  ])('is refused when the Core API %s', async ([, changes, reason]) => {
    const { exitCode, outcome, words, calls } = await run(changes);
    expect({ exitCode, outcome, calls }).toEqual({ exitCode: 3, outcome: 'refused', calls: [] });
    expect(words).toMatch(reason);
  });

  test('leaves the switch unchanged when DynamoDB refuses a write, and reports the error', async () => {
    const { exitCode, outcome, words, project } = await run({ state: { mood: 'fail' } });
    expect({ exitCode, outcome }).toEqual({ exitCode: 1, outcome: 'failed' });
    expect(words).toContain('AccessDeniedException');
    expect(project.enable_dynamo_db).toBe(false);
  });

  test.for([
    ['invalid', /EnvironmentModel.*name.*type=string_type/s],
    ['unsupported', /Unsupported type "<class 'set'>"/],
  ] as const)('reports the fault of a document without its value: %s', async ([mood, reason]) => {
    const { outcome, words, output } = await run({ state: { mood } });
    expect(outcome).toBe('failed');
    expect(words).toMatch(reason);
    expect(words + output).not.toContain('customer');
  });

  test('stops by itself when its time is up', async () => {
    const { outcome, words, project } = await run({ state: { mood: 'hang' }, want: { seconds: 1 } });
    expect({ outcome, words }).toEqual({ outcome: 'failed', words: 'Stopped: not done within 1 s' });
    expect(project.enable_dynamo_db).toBe(false);
  });

  test('also prints its outcome as one line of JSON', async () => {
    const { output } = await run();
    expect(JSON.parse(output)).toMatchObject({
      handover: 'done',
      project: 42,
      environments: 1,
      serverKeys: 1,
      metaRows: true,
    });
  });
});
