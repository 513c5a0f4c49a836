import type { ComponentChildren } from 'preact';
import type { ProjectSummary } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatCount, formatLag, formatShare, formatSpan } from '../view/format.ts';
import { formatRoute, turnOrdering } from '../view/route.ts';
import { countDown, shareOf, toneOf } from '../view/state.ts';
import { useNow } from './context.ts';
import { Icon } from './icon.tsx';
import { Bar, PhaseBadge } from './ui.tsx';

const { projects: TEXTS } = TEXT;

type Column = keyof typeof TEXTS.columns;
/** How each column is sorted by the first click; none: the API does not sort by it. */
const COLUMNS: readonly [Column, 'smallest' | 'largest' | undefined][] = [
  ['project_id', 'smallest'],
  ['phase', 'smallest'],
  ['identities_remaining', 'largest'],
  ['lag_seconds', 'largest'],
  ['deadline', 'smallest'],
  ['attention', undefined],
];

interface TableProps {
  readonly rows: readonly ProjectSummary[];
  readonly ordering: string;
  readonly onOrder: (ordering: string) => void;
}

export function ProjectTable({ rows, ordering, onOrder }: TableProps) {
  const now = useNow(5000);
  return (
    <div class="card table-card">
      <table class="projects">
        <caption class="hidden">{TEXTS.caption}</caption>
        <thead>
          <tr>
            {COLUMNS.map(([column, first]) => (
              <Heading key={column} column={column} first={first} ordering={ordering} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={`${row.namespace}/${row.name}`} row={row} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadingProps extends Pick<TableProps, 'ordering' | 'onOrder'> {
  readonly column: Column;
  readonly first: 'smallest' | 'largest' | undefined;
}

function Heading({ column, first, ordering, onOrder }: HeadingProps) {
  const name = TEXTS.columns[column];
  if (first === undefined) return <th scope="col">{name}</th>;
  const direction = ordering === column ? 'ascending' : ordering === `-${column}` ? 'descending' : undefined;
  return (
    <th scope="col" aria-sort={direction ?? 'none'}>
      <button type="button" class="sort" onClick={() => onOrder(turnOrdering(ordering, column, first === 'largest'))}>
        {name}
        {direction && <Icon name={direction === 'ascending' ? 'up' : 'down'} />}
      </button>
    </th>
  );
}

function Row({ row, now }: { row: ProjectSummary; now: number }) {
  const { project_id, namespace, project_name, phase, message, lag_seconds, deadline } = row;
  return (
    <tr>
      <th scope="row">
        <a class="project-link" href={formatRoute({ kind: 'project', projectId: project_id, namespace })}>
          {project_name ?? TEXTS.unnamed(project_id)}
        </a>
        <span class="under">
          {TEXTS.id(project_id)} · {namespace}
        </span>
      </th>
      <Cell label="phase">
        <PhaseBadge phase={phase} />
        {message && (
          <span class="under clip" title={message}>
            {message}
          </span>
        )}
      </Cell>
      <Cell label="identities_remaining">
        <Progress row={row} />
      </Cell>
      <Cell label="lag_seconds">{lag_seconds !== null && formatLag(lag_seconds)}</Cell>
      <Cell label="deadline">{deadline !== null && <Deadline deadline={deadline} now={now} />}</Cell>
      <Cell label="attention">
        <Attention row={row} />
      </Cell>
    </tr>
  );
}

/** On a narrow screen each cell has its own label. */
function Cell({ label, children }: { label: Column; children: ComponentChildren }) {
  const isEmpty = children === false || children === null;
  return (
    <td data-label={TEXTS.columns[label]} class={isEmpty ? 'empty-cell' : undefined}>
      {isEmpty ? <span aria-hidden="true">–</span> : children}
    </td>
  );
}

function Progress({ row }: { row: ProjectSummary }) {
  const share = shareOf(row);
  if (share === undefined || row.mode === 'Plan')
    return row.identities_total === null ? null : <span class="under">{formatCount(row.identities_total)}</span>;
  return (
    <span class="progress">
      <Bar share={share} label={TEXT.project.progress} tone={share === 1 ? 'good' : toneOf(row.phase)} />
      <span class="progress-text">{formatShare(share)}</span>
      <span class="under">
        {TEXT.copy.of(formatCount(row.identities_read ?? 0), formatCount(row.identities_total ?? 0))}
      </span>
    </span>
  );
}

function Deadline({ deadline, now }: { deadline: string; now: number }) {
  const time = Date.parse(deadline);
  const { isOver } = countDown(time, undefined, now);
  const span = formatSpan(Math.abs(time - now) / 1000);
  return (
    <time dateTime={deadline} title={deadline} class={isOver ? 'quiet-text' : undefined}>
      {isOver ? TEXTS.over(span) : TEXTS.left(span)}
    </time>
  );
}

function Attention({ row }: { row: ProjectSummary }) {
  const { gaps, skipped, differences } = row;
  const tags: [text: string, tone: string][] = [];
  if (gaps > 0) tags.push([TEXTS.gaps(gaps), 'bad']);
  if (differences !== null && differences > 0) tags.push([TEXTS.differences(differences), 'bad']);
  if (skipped > 0) tags.push([TEXTS.skipped(skipped), 'warn']);
  if (tags.length === 0) return <span class="quiet-text">{TEXTS.nothing}</span>;
  return (
    <span class="tags">
      {tags.map(([text, tone]) => (
        <span key={text} class="tag" data-tone={tone}>
          {text}
        </span>
      ))}
    </span>
  );
}
