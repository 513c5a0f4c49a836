import { specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { z } from 'zod';

const { suspend, copy, replay, verify } = specSchema.shape;
const texts = z.record(z.string(), z.string()).default({});

/** The settings that may be chosen for every project; project, mode and retry are set by events. */
const templateSchema = z.strictObject({
  labels: texts,
  annotations: texts,
  spec: z
    .strictObject({
      suspend: suspend.optional(),
      copy: copy.unwrap().strict().optional(),
      replay: replay.unwrap().strict().optional(),
      verify: verify.unwrap().strict().optional(),
    })
    .default({}),
});

/** Common parts of new EdgeMigrations. `spec` is unchanged: the API server fills in the defaults. */
export interface MigrationTemplate {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** A template as JSON text; anything that is not valid in an EdgeMigration is rejected. */
export const templateText = z.string().transform((text, context): MigrationTemplate => {
  const refuse = (message: string) => {
    context.issues.push({ code: 'custom', message, input: text });
    return z.NEVER;
  };
  const value = parseJsonText(text);
  if (value === undefined) return refuse('must be a JSON object');
  const { data, error } = templateSchema.safeParse(value);
  if (error !== undefined) {
    return refuse(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
  const given = value as { spec?: Record<string, unknown> };
  return { labels: data.labels, annotations: data.annotations, spec: given.spec ?? {} };
});

function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
