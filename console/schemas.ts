/** The API's responses, for types and for the OpenAPI document. */
import { specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { statusSchema } from '@edge-migration/contract/edge-migration/status.ts';
import { WARNING_CODES } from '@edge-migration/operator/requests/change.ts';
import { REPORT_FORMATS } from '@edge-migration/operator/requests/report.ts';
import { z } from 'zod';
import { PROBLEM_CODES } from './problem.ts';

const time = z.iso.datetime({ offset: true });
const count = z.number().min(0);

const warningCode = z.enum(WARNING_CODES);
export const warningSchema = z.object({
  code: warningCode.meta({ description: 'The code that confirms it.' }),
  text: z.string().meta({ description: 'For people.' }),
});

export const problemSchema = z.object({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  code: z.enum(PROBLEM_CODES).meta({ description: 'For programs.' }),
  detail: z.string().meta({ description: 'The problem and its remedy.' }),
  warnings: z
    .array(warningSchema)
    .optional()
    .meta({ description: 'With confirmation_required: all warnings to be confirmed.' }),
});

export const MIGRATION_STATUSES = [
  'MIGRATION_NOT_STARTED',
  'MIGRATION_SCHEDULED',
  'MIGRATION_IN_PROGRESS',
  'MIGRATION_COMPLETED',
] as const;

const migrationStatus = z.enum(MIGRATION_STATUSES).meta({ description: "The state in Flagsmith's terms." });

export const summarySchema = z.object({
  project_id: z.int().min(1),
  namespace: z.string(),
  name: z.string(),
  project_name: z.string().nullable().meta({ description: 'Annotation edge.flagsmith.com/project-name.' }),
  migration_status: migrationStatus,
  mode: z.enum(['Migrate', 'Plan']).nullable(),
  phase: z.string(),
  message: z.string().nullable(),
  progress: z.string().nullable(),
  suspended: z.boolean(),
  deleting: z.boolean(),
  outcome: z.enum(['succeeded', 'failed']).nullable(),
  created_at: z.string(),
  identities_total: count.nullable(),
  identities_read: count.nullable(),
  identities_remaining: count.nullable(),
  identities_per_second: count.nullable(),
  estimated_completion: time.nullable(),
  lag_seconds: count.nullable(),
  deadline: time.nullable(),
  gaps: count,
  skipped: count,
  differences: count.nullable().meta({ description: 'Of the last comparison; null if there was none.' }),
  spec_problem: z.string().nullable(),
});

const ACTIONS = ['plan', 'migrate', 'suspend', 'resume', 'extend', 'finish', 'verify', 'repair', 'retry'] as const;

const actionSchema = z.object({
  allowed: z.boolean().meta({ description: 'Whether the caller has the right.' }),
  possible: z.boolean().meta({ description: 'Whether the state of the migration allows it.' }),
  reason: z.string().nullable().meta({ description: 'Why it is not possible.' }),
  warnings: z.array(warningSchema).meta({ description: 'Irreversible effects: "confirm" must name each.' }),
});

const detailSchema = summarySchema.extend({
  uid: z.string(),
  generation: z.int(),
  resource_version: z.string(),
  labels: z.record(z.string(), z.string()),
  spec: specSchema.nullable(),
  status: statusSchema,
  server_time: time,
});

export const fullDetailSchema = detailSchema.extend({ actions: z.record(z.enum(ACTIONS), actionSchema) });

export const pageSchema = z.object({
  count: z.int(),
  next: z.string().nullable(),
  previous: z.string().nullable(),
  phases: z.record(z.string(), z.int()).meta({ description: 'Of all matching projects, independent of `phase`.' }),
  results: z.array(summarySchema),
});

export const sessionSchema = z.object({
  user: z.string(),
  authentication: z.enum(['Token', 'Proxy']),
  read_only: z.boolean(),
  default_namespace: z.string(),
  may: z.object({ create: z.boolean(), patch: z.boolean() }).meta({ description: 'In the default namespace.' }),
  server_time: time,
  version: z.string(),
});

export const migrationStatusSchema = z.object({
  project_id: z.int(),
  migration_status: migrationStatus,
  namespace: z.string(),
  migration_start_time: time.nullable(),
  migration_end_time: time.nullable(),
  edge_migration: summarySchema.nullable(),
});

export const changeSchema = z.object({
  result: z.enum(['created', 'changed', 'unchanged']),
  message: z.string(),
  warnings: z.array(warningSchema),
  dry_run: z.boolean(),
  project: summarySchema,
});

const sampleSchema = z.object({
  time,
  identities_per_second: count.nullable(),
  identities_remaining: count.nullable(),
  lag_seconds: count.nullable(),
});

export const seriesSchema = z.object({
  project_id: z.int(),
  namespace: z.string(),
  since: time.meta({ description: 'When this console started.' }),
  samples: z.array(sampleSchema),
});

export type ProjectSummary = z.infer<typeof summarySchema>;
export type ProjectDetail = z.infer<typeof detailSchema>;
export type ActionName = (typeof ACTIONS)[number];
export type ActionState = z.infer<typeof actionSchema>;
export type Sample = z.infer<typeof sampleSchema>;

// Requests.

const ORDERINGS = [
  'project_id',
  'created_at',
  'phase',
  'deadline',
  'lag_seconds',
  'identities_remaining',
  'gaps',
  'skipped',
  'differences',
] as const;
export type Ordering = (typeof ORDERINGS)[number];

const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a namespace');
/** A parameter may occur once or several times. */
const several = <T extends z.ZodType>(item: T, most: number) =>
  z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(item).max(most));
const number = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

export const listQuerySchema = z.strictObject({
  page: number(1, 1_000_000).default(1),
  page_size: number(1, 200).default(50),
  search: z.string().max(200).default(''),
  phase: several(z.string().max(63), 20).optional(),
  outcome: z.enum(['succeeded', 'failed', 'none']).optional(),
  namespace: namespace.optional(),
  ordering: z.enum(ORDERINGS.flatMap((name) => [name, `-${name}`] as const)).default('project_id'),
});
export type ListQuery = z.infer<typeof listQuerySchema>;

export const placeQuerySchema = z.strictObject({ namespace: namespace.optional() });
export const changeQuerySchema = placeQuerySchema.extend({ dry_run: z.stringbool().default(false) });
export const reportQuerySchema = placeQuerySchema.extend({ format: z.enum(REPORT_FORMATS).default('markdown') });
export const eventsQuerySchema = z.strictObject({ project_id: several(number(1, 2_147_483_647), 200).optional() });

/** Only given values: defaults would change the settings of a plan. */
const given = (shape: Readonly<Record<string, z.ZodType>>) =>
  z.strictObject(
    Object.fromEntries(
      Object.entries(shape).map(([name, field]) => [
        name,
        z.optional(field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : field),
      ]),
    ),
  );

const { copy, replay } = specSchema.shape;
export const settingsSchema = z.strictObject({
  copy: given(copy.unwrap().shape).optional(),
  replay: given(replay.unwrap().shape).optional(),
});
export const nothingSchema = z.strictObject({});
export const confirmSchema = z.strictObject({
  confirm: z.array(warningCode).max(WARNING_CODES.length).default([]).meta({
    description: 'Codes of the warnings that the user has seen. Any other warning results in confirmation_required.',
  }),
});
export const startSchema = settingsSchema.extend(confirmSchema.shape);
export const extendSchema = confirmSchema
  .extend({
    by: z
      .string()
      .regex(/^(?:\d{1,6}[wdhms]){1,5}$/, 'must be a duration, such as 7d or 1d12h')
      .optional(),
    until: time.optional(),
  })
  .refine(({ by, until }) => (by === undefined) !== (until === undefined), {
    message: 'give either "by" or "until"',
  });
