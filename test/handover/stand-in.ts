import { existsSync, symlinkSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { findPython } from '../differential/python.ts';

/** The folder of the stand-in for Flagsmith's image. */
export const FLAGSMITH = new URL('./flagsmith/', import.meta.url).pathname;

/** The stand-in's database, and the recorded calls. */
export interface StandInState {
  /** The functions of Flagsmith that it has: all by default. */
  release?: 'unknown' | 'old';
  /** Special behaviour of its writes to DynamoDB. */
  mood?: 'hang' | 'fail' | 'invalid' | 'unsupported' | 'complete' | 'edit' | 'delete' | 'restless';
  project: { id: number; enable_dynamo_db: boolean; edge_v2_migration_status: string };
  environments: { id: number; api_key: string; name?: string }[];
  keys: { key: string; client: string; environment: number }[];
  calls?: string[];
  /** The last writes, by kind. */
  tables?: Record<string, Record<string, unknown>[]>;
}

/** Table names as in Flagsmith's own settings. */
export const TABLE_SETTINGS = {
  ENVIRONMENTS_TABLE_NAME_DYNAMO: 'environments',
  ENVIRONMENTS_API_KEY_TABLE_NAME_DYNAMO: 'server-keys',
  ENVIRONMENTS_V2_TABLE_NAME_DYNAMO: 'environments-v2',
};

export const stateOf = (id: number, changes: Partial<StandInState> = {}): StandInState => ({
  project: { id, enable_dynamo_db: false, edge_v2_migration_status: 'NOT_STARTED' },
  environments: [{ id, api_key: `key-${id}` }],
  keys: [{ key: `ser.${id}`, client: `key-${id}`, environment: id }],
  ...changes,
});

export const readState = async (file: string): Promise<StandInState> => JSON.parse(await readFile(file, 'utf8'));
export const writeState = (file: string, state: StandInState) => writeFile(file, JSON.stringify(state));

/** A PATH on which `python` is a Python 3, as in Flagsmith's images; undefined if this machine has none. */
export function providePath(folder: string): string | undefined {
  const python = findPython();
  if (python === undefined) return undefined;
  const path = process.env['PATH'] ?? '';
  const found = path.split(delimiter).map((place) => join(place, python.command));
  symlinkSync(found.find((file) => existsSync(file)) ?? python.command, join(folder, 'python'));
  return `${folder}${delimiter}${path}`;
}
