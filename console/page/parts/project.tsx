import type { Detail, Sample } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatCompact, formatCount, formatLag } from '../view/format.ts';
import { FIRST_QUERY, formatRoute } from '../view/route.ts';
import { pointsOf } from '../view/series.ts';
import { listSteps, type RoadStep, toneOf } from '../view/state.ts';
import { Actions } from './actions.tsx';
import { Chart } from './chart.tsx';
import { ComparisonCard } from './comparison.tsx';
import { Conditions, Gaps, Skipped } from './findings.tsx';
import { Icon } from './icon.tsx';
import { PlanFigures, PlanFirst } from './plan.tsx';
import { Copying, Window } from './progress.tsx';
import { LiveSign } from './projects.tsx';
import { ReportCard } from './report.tsx';
import { StillOnCoreCard } from './still-on-core.tsx';
import { Card, Note, PhaseBadge } from './ui.tsx';
import { useProject } from './use-project.ts';
import { useTitle } from './use-title.ts';

const { project: TEXTS } = TEXT;

interface ProjectProps {
  readonly projectId: number;
  readonly namespace: string | undefined;
}

/** One project: its state, and the possible actions. */
export function ProjectView({ projectId, namespace }: ProjectProps) {
  const { presence, detail, samples, problem, isLive, reload } = useProject(projectId, namespace);
  const name = detail?.project_name ?? TEXT.projects.unnamed(projectId);
  const heading = useTitle(name);
  const isPlan = presence === 'none' || (presence === 'there' && detail?.mode === 'Plan');
  return (
    <>
      <a class="back" href={formatRoute({ kind: 'projects', query: FIRST_QUERY })}>
        <Icon name="back" />
        {TEXTS.back}
      </a>
      <div class="title-row">
        <h1 ref={heading} tabIndex={-1}>
          {name}
        </h1>
        {presence === 'there' && detail && (
          <>
            <PhaseBadge phase={detail.phase} />
            <LiveSign isLive={isLive} />
          </>
        )}
      </div>
      <p class="subtitle">
        {TEXT.projects.id(projectId)}
        {detail && ` · ${TEXTS.namespace(detail.namespace)} · ${TEXT.migrationStatus[detail.migration_status]}`}
      </p>
      {problem && <Note tone="bad">{problem}</Note>}
      {presence === 'loading' && !problem && <p class="quiet-text">{TEXT.loading}</p>}
      {presence === 'none' && <Note tone="calm">{TEXTS.none}</Note>}
      {presence === 'removed' && <Note tone="warn">{TEXTS.removed}</Note>}
      {presence === 'there' && detail && <News detail={detail} />}
      {isPlan && (
        <div class="columns">
          <div class="column main">
            <PlanFirst
              projectId={projectId}
              namespace={detail?.namespace ?? namespace}
              detail={presence === 'there' ? detail : undefined}
              changed={reload}
            />
            {detail && <Skipped detail={detail} />}
          </div>
          {detail && (
            <div class="column">
              <Actions detail={detail} changed={reload} />
              <ReportCard detail={detail} />
            </div>
          )}
        </div>
      )}
      {presence === 'there' && detail && !isPlan && <Migration detail={detail} samples={samples} changed={reload} />}
      {presence === 'there' && detail && <Conditions detail={detail} />}
    </>
  );
}

/** The operator's messages, and the progress of the migration. */
function News({ detail }: { detail: Detail }) {
  const steps = listSteps(detail);
  const hasTrouble = steps.some(({ state }) => state === 'failed');
  const tone = hasTrouble && toneOf(detail.phase) !== 'bad' ? 'warn' : toneOf(detail.phase);
  return (
    <>
      <Road steps={steps} />
      {detail.spec_problem && (
        <Note tone="bad">
          <strong>{TEXTS.specProblem}:</strong> {detail.spec_problem}
        </Note>
      )}
      {/* Of a plan that is there the page has words of its own. */}
      {detail.message && detail.phase !== 'Planned' && (
        <Note tone={tone === 'busy' ? 'calm' : tone}>{detail.message}</Note>
      )}
    </>
  );
}

function Road({ steps }: { steps: readonly RoadStep[] }) {
  return (
    <ol class="road" aria-label={TEXTS.road}>
      {steps.map(({ name, state }, index) => (
        <li key={name} data-state={state} aria-current={state === 'now' ? 'step' : undefined}>
          <span class="road-mark" aria-hidden="true">
            {state === 'done' ? <Icon name="done" /> : state === 'failed' ? <Icon name="alert" /> : index + 1}
          </span>
          <span class="road-name">
            {TEXT.steps[name]}
            <span class="hidden">: {TEXT.steps.state[state]}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

interface MigrationProps {
  readonly detail: Detail;
  readonly samples: readonly Sample[];
  readonly changed: () => void;
}

function Migration({ detail, samples, changed }: MigrationProps) {
  return (
    <div class="columns">
      <div class="column main">
        <Copying detail={detail} />
        <Charts samples={samples} isCopied={detail.status.copy?.completionTime !== undefined} />
        <StillOnCoreCard detail={detail} />
        <ComparisonCard detail={detail} />
        <div class="pair">
          <Gaps detail={detail} />
          <Skipped detail={detail} />
        </div>
      </div>
      <div class="column">
        <Window detail={detail} />
        <Actions detail={detail} changed={changed} />
        <ReportCard detail={detail} />
        {detail.status.plan && (
          <Card title={TEXT.plan.title}>
            <PlanFigures detail={detail} />
          </Card>
        )}
      </div>
    </div>
  );
}

/** Rate and remaining identities while there is something to copy, lag as soon as replay has started. */
function Charts({ samples, isCopied }: { samples: readonly Sample[]; isCopied: boolean }) {
  const rate = pointsOf(samples, 'identities_per_second');
  const remaining = pointsOf(samples, 'identities_remaining');
  const lag = pointsOf(samples, 'lag_seconds');
  const { charts: names } = TEXT;
  const wasSeen = rate.length > 1;
  if (!isCopied && !wasSeen && remaining.length === 0) return null;
  return (
    <Card title={names.title}>
      <div class="charts">
        {(!isCopied || wasSeen) && (
          <>
            <Chart title={names.rate} points={rate} format={formatCount} formatTick={formatCompact} />
            <Chart title={names.remaining} points={remaining} format={formatCount} formatTick={formatCompact} />
          </>
        )}
        {(isCopied || lag.length > 0) && (
          <Chart title={names.lag} points={lag} format={formatLag} formatTick={formatLag} />
        )}
      </div>
    </Card>
  );
}
