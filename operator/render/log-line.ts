import { type EdgeMigration, projectOf } from '@edge-migration/contract/edge-migration/api.ts';
import { z } from 'zod';

const lineSchema = z.looseObject({ uid: z.string().optional(), projectId: z.number().optional() });

/** Whether a line of the operator's log concerns this migration; lines that are not JSON concern none. */
export function isAbout(line: string, migration: EdgeMigration): boolean {
  const parsed = lineSchema.safeParse(readJson(line)).data;
  if (parsed?.uid !== undefined) return parsed.uid === migration.uid;
  return parsed?.projectId === projectOf(migration);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
