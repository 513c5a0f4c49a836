import { hash } from 'node:crypto';
import type { EdgeMigration, LastComparison, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { statusSchema } from '@edge-migration/contract/edge-migration/status.ts';
import { z } from 'zod';

const comparisonEntry = z.looseObject({ run: z.number(), completionTime: z.string() });

/** The audit of one migration; counts, times and checksums, nothing about single identities. */
export const auditSchema = z.looseObject({
  project: z.number().optional(),
  migration: z.object({ namespace: z.string(), name: z.string(), uid: z.string(), createdTime: z.string() }),
  writtenTime: z.string(),
  /** The writers of the spec, as recorded by the API server, and the time of each one's last write. */
  writers: z.array(z.object({ manager: z.string(), operation: z.string(), time: z.string() })),
  /** Every spec that was in effect when the audit was written, by generation. */
  specs: z.array(z.looseObject({ generation: z.number(), seenTime: z.string() })),
  copy: z.looseObject({}),
  skipped: z.looseObject({}),
  replay: z.looseObject({}),
  gaps: z.array(z.looseObject({})),
  comparisons: z.array(comparisonEntry),
  outcome: z.string(),
});

export type Audit = z.infer<typeof auditSchema>;

interface News {
  readonly migration: EdgeMigration;
  readonly status: Status;
  readonly now: string;
  readonly writers: Audit['writers'];
}

/** Further comparisons are not relevant; the first, of the copy, is kept. */
const MOST_COMPARISONS = 50;
const MOST_SPECS = 50;

/** The milestones to record: the audit is updated when this changes. */
export function nameMilestone({ copy, conditions, verification, replay }: Status): string | undefined {
  if (copy?.completionTime === undefined || copy.dryRun) return undefined;
  const succeeded = conditions?.find(({ type }) => type === 'Succeeded');
  const closed = succeeded?.status === 'True' ? (replay?.deadline ?? 'done') : 'open';
  return hash('sha256', `${copy.completionTime} ${verification?.last?.run ?? 0} ${closed}`, 'hex').slice(0, 12);
}

export function extendAudit(known: Audit | undefined, { migration, status: given, now, writers }: News): Audit {
  // In the schema's order of fields: a stored status has another order than a newly decided one.
  const status = statusSchema.parse(given);
  const { namespace, name, uid, creationTime, spec, generation } = migration;
  const { progressTime: _copy, ...copy } = status.copy ?? {};
  const { progressTime: _replay, lag: _lag, lagSeconds: _seconds, ...replay } = status.replay ?? {};
  const last = status.verification?.last;
  return {
    project: spec?.projectId,
    migration: { namespace, name, uid, createdTime: creationTime },
    writtenTime: now,
    writers: [...writers],
    specs: addSpec(known?.specs ?? [], { generation, seenTime: now, ...spec }),
    copy,
    skipped: status.skipped ?? {},
    replay,
    gaps: status.gaps ?? [],
    comparisons: addComparison(known?.comparisons ?? [], last),
    outcome: status.conditions?.find(({ type }) => type === 'Succeeded')?.message ?? '',
  };
}

function addSpec(specs: Audit['specs'], spec: Audit['specs'][number]): Audit['specs'] {
  if (specs.some(({ generation }) => generation === spec.generation)) return specs;
  return [...specs, spec].slice(-MOST_SPECS);
}

function addComparison(known: Audit['comparisons'], last: LastComparison | undefined): Audit['comparisons'] {
  if (last === undefined) return known;
  const others = known.filter(({ run }) => run !== last.run);
  const [first, ...rest] = [...others, last].toSorted((a, b) => a.run - b.run);
  return first === undefined ? [] : [first, ...rest.slice(1 - MOST_COMPARISONS)];
}

/** The audit in human-readable form. */
export function writeAuditText(audit: Audit): string {
  const { migration, copy, skipped, replay } = audit;
  const lines = [
    `Migration of project ${audit.project} from Core to Edge`,
    `EdgeMigration ${migration.namespace}/${migration.name} (${migration.uid}), created ${migration.createdTime}`,
    `Written ${audit.writtenTime}`,
    '',
    ...section(
      'Who',
      audit.writers.map(({ manager, operation, time }) => `${time}  ${manager} (${operation})`),
    ),
    ...section(
      'Specs',
      audit.specs.map(
        ({ generation, seenTime, ...spec }) => `${seenTime}  generation ${generation}: ${JSON.stringify(spec)}`,
      ),
    ),
    ...section('Copy', describe(copy)),
    ...section('Identities that Edge cannot hold', describe(skipped)),
    ...section('Replay', describe(replay)),
    ...section(
      'Times in which writes may have been missed',
      audit.gaps.map((gap) => describe(gap).join(', ')),
    ),
    ...audit.comparisons.flatMap((comparison) => section(`Comparison ${comparison.run}`, describe(comparison))),
    audit.outcome,
  ];
  return `${lines.join('\n')}\n`;
}

function section(title: string, lines: readonly string[]): string[] {
  return [title, ...(lines.length === 0 ? ['  none'] : lines.map((line) => `  ${line}`)), ''];
}

function describe(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return `${name.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}: ${text}`;
  });
}
