import { type EdgeMigration, projectOf, titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import { formatTime } from '@edge-migration/kubernetes/objects.ts';
import { parseSeries } from '../edge-migration/usage/series.ts';
import { describePhase } from './list.ts';
import { printable } from './printable.ts';
import { describeCopy, describePlan, describeReplay, describeVerification } from './status.ts';
import { describeStillOnCore, sumByClient } from './still-on-core.ts';
import { formatCount } from './table.ts';

/** Texts of a ConfigMap by key; or why it cannot be read; undefined if the status names none. */
export type Part =
  | { readonly name: string; readonly data: Readonly<Record<string, string>> }
  | { readonly name: string; readonly problem: string };

export interface ReportFacts {
  readonly migration: EdgeMigration;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The audit of the migration. */
  readonly audit: Part | undefined;
  /** The last comparison. */
  readonly comparison: Part | undefined;
  /** The daily series of calls to Core. */
  readonly stillOnCore?: Part | undefined;
}

/** For programs: spec and status, with audit and comparison unchanged. */
export function buildReport({ migration, now, audit, comparison, stillOnCore }: ReportFacts) {
  const { namespace, name, uid, generation, creationTime, spec, status } = migration;
  return {
    reportTime: formatTime(now),
    edgeMigration: { namespace, name, uid, generation, creationTime, spec, status },
    audit: readPart(audit, 'audit.json'),
    comparison: readPart(comparison, 'report.json'),
    stillOnCore: readPart(stillOnCore, 'series.json'),
    incomplete: listProblems({ audit, comparison, stillOnCore }),
  };
}

function readPart(part: Part | undefined, key: string): unknown {
  const text = part !== undefined && 'data' in part ? part.data[key] : undefined;
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Why a part of the report is missing. */
const describeProblem = ({ name, problem }: { name: string; problem: string }) => `ConfigMap ${name}: ${problem}`;

/** The missing parts of the report. */
export function listProblems({ audit, comparison, stillOnCore }: Partial<ReportFacts>): string[] {
  return [audit, comparison, stillOnCore].flatMap((part) =>
    part !== undefined && 'problem' in part ? [describeProblem(part)] : [],
  );
}

/** From, until, reason and pod of each gap. */
export const listGaps = ({ status }: EdgeMigration) =>
  (status.gaps ?? []).map(({ from, until, reason, podName }) => [from, until ?? 'lasts', reason, podName ?? '']);

/** Type, status, reason, time and message of each condition. */
export const listConditions = ({ status }: EdgeMigration) =>
  (status.conditions ?? []).map(({ type, status: state, reason, lastTransitionTime, message }) => [
    type,
    state,
    reason,
    lastTransitionTime,
    message,
  ]);

/** For people: one Markdown file, without identifiers or values. */
export function writeReport({ migration, now, audit, comparison, stillOnCore }: ReportFacts): string {
  const { status } = migration;
  return [
    `# Migration of project ${projectOf(migration)} from Core to Edge\n`,
    `EdgeMigration \`${titleOf(migration)}\`, as of ${formatTime(now)}: **${escapeMarkdown(describePhase(migration))}**.\n`,
    status.message === undefined ? '' : `${escapeMarkdown(status.message)}\n`,
    fields('Plan', status.plan && describePlan(status.plan)),
    fields('Copy', describeCopy(migration, now)),
    fields('Replay', describeReplay(migration, now)),
    fields('Who is still on Core', describeStillOnCore(migration)),
    writeSeries(stillOnCore),
    fields('Verification', describeVerification(migration)),
    table(
      'Times in which writes to Core may have been missed',
      ['From', 'Until', 'Reason', 'Pod'],
      listGaps(migration),
    ),
    table('Conditions', ['Type', 'Status', 'Reason', 'Since', 'Message'], listConditions(migration)),
    quote('The account of the migration', audit, 'audit.txt'),
    quote('The last comparison', comparison, 'report.txt'),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** Clients' writes to Core by day; uncounted days are marked. */
function writeSeries(part: Part | undefined): string {
  const title = 'Identity writes to Core, day by day';
  if (part === undefined) return '';
  if ('problem' in part) return `## ${title}\n\nThey could not be read: ${escapeMarkdown(describeProblem(part))}\n`;
  const series = parseSeries(part.data['series.json']);
  if (series === undefined) return '';
  const { names, days } = sumByClient(series, 'writes');
  const rows = days.map(({ date, parts, isLowerBound }) => [
    isLowerBound ? `${date} (at least)` : date,
    ...names.map((_, index) => (parts === undefined ? 'not counted' : formatCount(parts[index]!))),
  ]);
  return names.length === 0 ? '' : table(title, ['Day', ...names], rows);
}

function fields(title: string, list: readonly [string, string | undefined][] | undefined): string {
  const rows = (list ?? []).flatMap(([label, text]) => (text ? [[label, text]] : []));
  return table(title, ['', ''], rows);
}

function table(title: string, header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  return `## ${title}\n\n${[line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}

function quote(title: string, part: Part | undefined, key: string): string {
  if (part === undefined) return '';
  if ('problem' in part) return `## ${title}\n\nIt could not be read: ${escapeMarkdown(describeProblem(part))}\n`;
  const lines = (part.data[key] ?? '').split('\n').map((line) => `    ${printable(line)}`.trimEnd());
  return `## ${title}\n\n${lines.join('\n').trimEnd()}\n`;
}

/** Untrusted text in Markdown: without markup, HTML, and ends of table cells. */
const escapeMarkdown = (text: string) =>
  printable(text).replace(/[\\`*_[\]<>|~]/g, (mark) => (mark === '<' ? '&lt;' : `\\${mark}`));
