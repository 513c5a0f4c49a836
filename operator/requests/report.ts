import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { z } from 'zod';
import { writeHtmlReport } from '../render/html/report.ts';
import { buildReport, type Part, type ReportFacts, writeReport } from '../render/report.ts';

export const REPORT_FORMATS = ['markdown', 'html', 'json'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** The source of the ConfigMaps in a report. */
export interface ReportSource {
  /** Undefined if none may be read. */
  readonly client: Pick<KubernetesClient, 'get'> | undefined;
  /** The operator's. */
  readonly namespace: string;
  /** How to select another namespace. */
  readonly hint?: string;
  readonly signal: AbortSignal;
}

export interface MigrationReport {
  readonly text: string;
  /** The unreadable parts, and why; the text lists them too. */
  readonly incomplete: readonly string[];
}

/** The report of one project's migration. @param now milliseconds since the epoch */
export async function readReport(
  source: ReportSource,
  migration: EdgeMigration,
  format: ReportFormat,
  now: number,
): Promise<MigrationReport> {
  const { audit, verification, replay } = migration.status;
  const facts: ReportFacts = {
    migration,
    now,
    audit: await readPart(source, audit?.reportName),
    comparison: await readPart(source, verification?.last?.reportName),
    stillOnCore: await readPart(source, replay?.stillOnCore?.reportName),
  };
  const built = buildReport(facts);
  const writers: Record<ReportFormat, () => string> = {
    json: () => `${JSON.stringify(built, null, 2)}\n`,
    html: () => writeHtmlReport(facts),
    markdown: () => writeReport(facts),
  };
  return { text: writers[format](), incomplete: built.incomplete };
}

const dataSchema = z.object({ data: z.record(z.string(), z.string()).default({}) });

async function readPart(
  { client, namespace, hint = '', signal }: ReportSource,
  name: string | undefined,
): Promise<Part | undefined> {
  if (name === undefined) return undefined;
  if (client === undefined) return { name, problem: 'it cannot be read on behalf of the caller here' };
  try {
    const object = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
    if (object !== undefined) return { name, data: dataSchema.parse(object).data };
    return { name, problem: `there is none in namespace ${namespace}${hint}` };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { name, problem: errorMessage(error) };
  }
}
