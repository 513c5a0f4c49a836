import { useState } from 'preact/hooks';
import type { ActionState, Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatCount, formatDecimalBytes, formatSpan } from '../view/format.ts';
import { useConsole } from './context.ts';
import { Icon } from './icon.tsx';
import { ConfirmDialog } from './question.tsx';
import { SettingsForm, type SettingsOfStart } from './settings.tsx';
import { Bar, Card, type LabeledValue, LabeledValues, Note, Timestamp } from './ui.tsx';
import { useAction, whyNot } from './use-action.ts';

const { plan: TEXTS } = TEXT;

interface PlanProps {
  readonly projectId: number;
  readonly namespace: string | undefined;
  /** undefined: there is no EdgeMigration yet. */
  readonly detail: Detail | undefined;
  readonly changed: () => void;
}

/** The steps to the migration: first the plan, then its result, then the button. */
export function PlanFirst({ projectId, namespace, detail, changed }: PlanProps) {
  const { session } = useConsole();
  const { busy, asked, press, make, close } = useAction(projectId, namespace, changed);
  const [settings, setSettings] = useState<SettingsOfStart | undefined>({});
  const create: ActionState = { allowed: session.may.create, possible: true, reason: null, warnings: [] };
  const migrate = detail?.actions?.migrate;
  const isPlanned = detail?.status.plan?.completionTime !== undefined && detail.outcome === 'succeeded';
  const isPlanning = detail !== undefined && !isPlanned && detail.outcome !== 'failed';

  const isReady = isPlanned && migrate?.allowed === true && migrate.possible && settings !== undefined;
  return (
    <Card title={TEXTS.title}>
      {detail === undefined && <Intro create={create} isBusy={busy === 'plan'} make={() => press('plan', create)} />}
      {isPlanning && <Planning detail={detail} />}
      {isPlanned && (
        <>
          <p>{TEXTS.ready}</p>
          <PlanFigures detail={detail} />
          <SettingsForm detail={detail} onChange={setSettings} />
        </>
      )}
      <div class="start">
        <button
          type="button"
          class="primary large"
          disabled={!isReady}
          aria-disabled={busy !== undefined}
          aria-describedby="start-hint"
          onClick={() => press('migrate', migrate, settings)}
        >
          {busy === 'migrate' ? TEXT.actions.working : TEXTS.start}
          <Icon name="arrow" />
        </button>
        <p id="start-hint" class="hint">
          {hintOf(isPlanned, migrate, settings)}
        </p>
      </div>
      {asked && <ConfirmDialog asked={asked} make={make} onClose={close} />}
    </Card>
  );
}

/** The text below the button: why it is disabled, or its effect. */
function hintOf(isPlanned: boolean, migrate: ActionState | undefined, settings: SettingsOfStart | undefined): string {
  if (!isPlanned) return TEXTS.notYet;
  if (migrate !== undefined && !(migrate.allowed && migrate.possible)) return whyNot(migrate);
  return settings === undefined ? TEXTS.correct : TEXTS.startHint;
}

function Intro({ create, isBusy, make }: { create: ActionState; isBusy: boolean; make: () => void }) {
  return (
    <>
      <p>{TEXTS.intro}</p>
      {create.allowed ? (
        <button type="button" class="secondary" disabled={isBusy} onClick={make}>
          <Icon name="search" />
          {isBusy ? TEXT.actions.working : TEXTS.make}
        </button>
      ) : (
        <Note tone="warn">{TEXT.project.noneMay}</Note>
      )}
    </>
  );
}

function Planning({ detail }: { detail: Detail }) {
  const { identities_total: total, identities_read: read } = detail;
  const share = total === null || total === 0 ? undefined : Math.min(1, (read ?? 0) / total);
  return (
    <>
      <p>{TEXTS.making}</p>
      <Bar share={share} label={TEXTS.making} />
    </>
  );
}

/** The result of a plan. */
export function PlanFigures({ detail }: { detail: Detail }) {
  const { plan } = detail.status;
  if (plan === undefined) return null;
  const counted = (count: number | undefined) => (count === undefined ? undefined : formatCount(count));
  const some = (count: number | undefined) => (count ? formatCount(count) : undefined);
  const { identitiesTotal: total, identitiesMigratable: migratable } = plan;
  const facts: LabeledValue[] = [
    [TEXTS.identities, counted(total)],
    [TEXTS.migratable, counted(migratable)],
    [TEXTS.cannot, total !== undefined && migratable !== undefined ? some(total - migratable) : undefined],
    [TEXTS.equal, some(plan.existingEqual)],
    [TEXTS.differing, some(plan.existingDiffering)],
    [TEXTS.edgeBorn, some(plan.existingEdgeBorn)],
    [TEXTS.replaced, some(plan.existingReplaced)],
    [TEXTS.documents, plan.documentBytes === undefined ? undefined : formatDecimalBytes(plan.documentBytes)],
    [TEXTS.writeUnits, counted(plan.writeUnits)],
    [TEXTS.duration, plan.durationSeconds === undefined ? undefined : TEXTS.about(formatSpan(plan.durationSeconds))],
    [TEXTS.cost, plan.costUSD === undefined ? undefined : TEXTS.usd(plan.costUSD)],
    [TEXTS.madeAt, plan.completionTime && <Timestamp time={plan.completionTime} />],
  ];
  return <LabeledValues facts={facts} />;
}
