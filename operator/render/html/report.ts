import { type EdgeMigration, projectOf, titleOf } from '@edge-migration/contract/edge-migration/api.ts';
import { formatTime } from '@edge-migration/kubernetes/objects.ts';
import { parseSeries } from '../../edge-migration/usage/series.ts';
import { describePhase } from '../list.ts';
import { listConditions, listGaps, listProblems, type Part, type ReportFacts } from '../report.ts';
import { describeCopy, describePlan, describeReplay, describeVerification } from '../status.ts';
import { describeStillOnCore, sumByClient } from '../still-on-core.ts';
import { formatCount } from '../table.ts';
import {
  type ChartTone,
  drawColumns,
  drawRanking,
  drawShares,
  drawTimeline,
  HATCH,
  type TimelineLane,
  type TimelineMark,
} from './charts.ts';
import { html, Markup } from './markup.ts';
import { STYLE } from './style.ts';

/** Nothing is loaded or executed, regardless of texts from the cluster. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/**
 * The report as one file for people: charts as inline SVG, light and dark, printable; without scripts and external
 * resources.
 */
export function writeHtmlReport(facts: ReportFacts): string {
  const { migration, now } = facts;
  const { status } = migration;
  const project = projectOf(migration);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Migration of project ${project} from Core to Edge</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
${HATCH}
<main>
<h1>Migration of project ${project} from Core to Edge</h1>
<p><span class="phase ${toneOf(migration)}">${describePhase(migration)}</span> <span class="soft">EdgeMigration <code>${titleOf(migration)}</code>, as of <time>${formatTime(now)}</time></span></p>
${status.message !== undefined && html`<p>${status.message}</p>`}
${writeProblems(facts)}
${writeCards(migration)}
${section('When', drawHistory(migration, now))}
${section('Plan', fields(status.plan && describePlan(status.plan)))}
${section('Copy', drawCopy(migration), fields(describeCopy(migration, now)), drawRanking('Skipped identities by reason', reasonsOf(migration), 'warn'))}
${section('Replay', fields(describeReplay(migration, now)))}
${section('Who is still on Core', fields(describeStillOnCore(migration)), ...drawStillOnCore(facts.stillOnCore))}
${section('Verification', drawComparison(migration), fields(describeVerification(migration)))}
${section('Times in which writes to Core may have been missed', table(['From', 'Until', 'Reason', 'Pod'], listGaps(migration)))}
${section('Conditions', table(['Type', 'Status', 'Reason', 'Since', 'Message'], listConditions(migration)))}
${section('The account of the migration', quote(facts.audit, 'audit.txt'))}
${section('The last comparison', quote(facts.comparison, 'report.txt'))}
</main>
</body>
</html>
`;
  return page.text;
}

function toneOf({ status }: EdgeMigration): ChartTone {
  const stateOf = (type: string) => status.conditions?.find((condition) => condition.type === type)?.status;
  if (stateOf('Succeeded') === 'False' || stateOf('Degraded') === 'True' || stateOf('Accepted') === 'False')
    return 'bad';
  return stateOf('Succeeded') === 'True' ? 'good' : 'calm';
}

/** A section without content is omitted. */
function section(title: string, ...parts: readonly (Markup | undefined)[]): Markup | undefined {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : html`<section><h2>${title}</h2>${known}</section>`;
}

function writeProblems(facts: ReportFacts): Markup | undefined {
  const problems = listProblems(facts);
  if (problems.length === 0) return undefined;
  return html`<div class="notice" role="note"><b>This report is not complete.</b> What could not be read: ${problems.join('; ')}</div>`;
}

function writeCards({ status }: EdgeMigration): Markup | undefined {
  const { copy, skipped, verification, gaps, replay } = status;
  const last = verification?.last;
  const cards: [string, string | undefined][] = [
    [
      'identities in Core when the copy was planned',
      copy?.identitiesTotal === undefined ? undefined : formatCount(copy.identitiesTotal),
    ],
    ['copied to Edge', copy?.identitiesCopied === undefined ? undefined : formatCount(copy.identitiesCopied)],
    ['that Edge cannot hold', copy === undefined ? undefined : formatCount(skipped?.total ?? 0)],
    [
      'equal at the last comparison',
      last === undefined
        ? undefined
        : `${formatCount(last.identitiesEqual ?? 0)} of ${formatCount(last.identitiesTotal)}`,
    ],
    ['times in which writes may have been missed', replay === undefined ? undefined : formatCount(gaps?.length ?? 0)],
  ];
  const known = cards.filter(([, value]) => value !== undefined);
  return known.length === 0
    ? undefined
    : html`<ul class="cards">${known.map(([label, value]) => html`<li><b>${value}</b><span>${label}</span></li>`)}</ul>`;
}

const SHOWN_AS: Record<string, string> = { Report: 'comparison', Repair: 'repair' };

/** Copy, window, gaps and the last comparison over one time axis. */
function drawHistory({ status }: EdgeMigration, now: number): Markup | undefined {
  const { copy, replay, gaps = [], verification } = status;
  const span = (from: string | undefined, until: string | undefined, label: string, tone: ChartTone) => {
    if (from === undefined) return [];
    const ends = until === undefined ? Math.max(now, Date.parse(from)) : Date.parse(until);
    return [{ from: Date.parse(from), until: ends, label: `${label}: ${from} to ${until ?? 'now'}`, tone }];
  };
  const last = verification?.last;
  const lanes: TimelineLane[] = [
    { name: 'Copy', spans: span(copy?.startTime, copy?.completionTime, 'copy', 'calm') },
    {
      name: 'Core is followed',
      spans: replay?.deadline === undefined ? [] : span(copy?.completionTime, replay.deadline, 'replay window', 'good'),
    },
    {
      name: 'Last comparison',
      spans: last === undefined ? [] : span(last.startTime, last.completionTime, SHOWN_AS[last.mode]!, 'idle'),
    },
    { name: 'Gaps', spans: gaps.flatMap(({ from, until, reason }) => span(from, until, reason, 'bad')) },
  ];
  const known = lanes.filter(({ name, spans }) => spans.length > 0 || name === 'Gaps');
  if (known.length < 2) return undefined;
  const moments: TimelineMark[] = [{ time: now, label: 'this report' }];
  return drawTimeline('From the copy to the end of the window (dashed: this report)', known, moments);
}

function drawCopy({ status: { copy, skipped } }: EdgeMigration): Markup | undefined {
  if (copy === undefined) return undefined;
  const {
    identitiesCopied = 0,
    identitiesUnchanged = 0,
    identitiesConflicting = 0,
    identitiesTotal = 0,
    identitiesRead = 0,
    dryRun,
  } = copy;
  if (dryRun) return undefined;
  return drawShares('What became of the identities', [
    { label: 'copied', count: identitiesCopied, tone: 'good' },
    { label: 'in Edge already, equal', count: identitiesUnchanged, tone: 'calm' },
    {
      label: 'in Edge already, differing: left as spec.copy.onConflict says',
      count: identitiesConflicting,
      tone: 'warn',
    },
    { label: 'that Edge cannot hold', count: skipped?.total ?? 0, tone: 'bad' },
    { label: 'not read yet', count: Math.max(0, identitiesTotal - identitiesRead), tone: 'idle' },
  ]);
}

const reasonsOf = ({ status }: EdgeMigration) =>
  (status.skipped?.byReason ?? []).map(({ reason, count }) => ({ label: reason, count }));

function drawComparison({ status }: EdgeMigration): Markup | undefined {
  const last = status.verification?.last;
  if (last === undefined) return undefined;
  return drawShares(`Identities of Core, as comparison ${last.run} found them in Edge`, [
    { label: 'equal', count: last.identitiesEqual ?? 0, tone: 'good' },
    { label: 'differing', count: last.identitiesDiffering ?? 0, tone: 'warn' },
    { label: 'missing', count: last.identitiesMissing ?? 0, tone: 'bad' },
    { label: 'that Edge cannot hold', count: last.identitiesSkipped ?? 0, tone: 'calm' },
    { label: 'written during every comparison', count: last.identitiesUnsettled ?? 0, tone: 'idle' },
  ]);
}

function drawStillOnCore(part: Part | undefined): (Markup | undefined)[] {
  if (part === undefined || 'problem' in part) return [];
  const series = parseSeries(part.data['series.json']);
  if (series === undefined)
    return [html`<p class="soft">The daily series in ConfigMap ${part.name} is of another release.</p>`];
  return [
    drawColumns(
      'Identity writes to Core a day, by client (hatched: not counted; pale: at least)',
      sumByClient(series, 'writes'),
    ),
    drawColumns(
      'Reads of identities from Core a day, by client (hatched: not counted; pale: at least)',
      sumByClient(series, 'reads'),
    ),
  ];
}

function fields(list: readonly (readonly [string, string | undefined])[] | undefined): Markup | undefined {
  const rows = (list ?? []).flatMap(([label, text]) =>
    text ? [html`<tr><th scope="row">${label}</th><td>${text}</td></tr>`] : [],
  );
  return rows.length === 0 ? undefined : html`<table><tbody>${rows}</tbody></table>`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): Markup | undefined {
  if (rows.length === 0) return undefined;
  const head = header.map((name) => html`<th scope="col">${name}</th>`);
  const body = rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`);
  return html`<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function quote(part: Part | undefined, key: string): Markup | undefined {
  if (part === undefined || 'problem' in part) return undefined;
  const lines = (part.data[key] ?? '').trimEnd().split('\n');
  // Each line separately: line breaks are the only control characters that text from the cluster may contain.
  return html`<pre>${lines.map((line, index) => [line, index < lines.length - 1 && new Markup('\n')])}</pre>`;
}
