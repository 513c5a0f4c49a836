import { useState } from 'preact/hooks';
import type { Action, ActionState, Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatBytes, formatCount, formatSpan } from '../view/format.ts';
import { describe, useChange, whyNot } from './actions.tsx';
import { useConsole } from './context.ts';
import { Icon } from './icon.tsx';
import { Bar, Card, type Fact, Facts, Moment, Note } from './ui.tsx';

const { plan: TEXTS } = TEXT;

interface PlanProps {
  readonly projectId: number;
  readonly namespace: string | undefined;
  /** undefined: there is no EdgeMigration yet. */
  readonly detail: Detail | undefined;
  readonly changed: () => void;
}

/** The way to the button: first the plan, then what it says, then the button. */
export function PlanFirst({ projectId, namespace, detail, changed }: PlanProps) {
  const { session, say } = useConsole();
  const [busy, setBusy] = useState<Action>();
  const [settings, setSettings] = useState<SettingsOfStart | undefined>({});
  const change = useChange(projectId, namespace, changed);
  const create: ActionState = { allowed: session.may.create, possible: true, reason: null, warning: null };
  const migrate = detail?.actions?.migrate;
  const isPlanned = detail?.status.plan?.completionTime !== undefined && detail.outcome === 'succeeded';
  const isPlanning = detail !== undefined && !isPlanned && detail.outcome !== 'failed';

  async function press(action: Action, body?: object) {
    setBusy(action);
    await change(action, body).catch((error: unknown) => say(describe(error), 'bad'));
    setBusy(undefined);
  }

  const isReady = isPlanned && migrate?.allowed === true && migrate.possible && settings !== undefined;
  return (
    <Card title={TEXTS.title}>
      {detail === undefined && <Intro create={create} isBusy={busy === 'plan'} make={() => press('plan')} />}
      {isPlanning && <Planning detail={detail} />}
      {isPlanned && (
        <>
          <p>{TEXTS.ready}</p>
          <PlanFigures detail={detail} />
          <Settings detail={detail} onChange={setSettings} />
        </>
      )}
      <div class="start">
        <button
          type="button"
          class="primary large"
          disabled={!isReady || busy !== undefined}
          aria-describedby="start-hint"
          onClick={() => press('migrate', settings)}
        >
          {busy === 'migrate' ? TEXT.actions.working : TEXTS.start}
          <Icon name="arrow" />
        </button>
        <p id="start-hint" class="hint">
          {isPlanned
            ? migrate && !(migrate.allowed && migrate.possible)
              ? whyNot(migrate)
              : TEXTS.startHint
            : TEXTS.notYet}
        </p>
      </div>
    </Card>
  );
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

/** What a plan found. */
export function PlanFigures({ detail }: { detail: Detail }) {
  const { plan } = detail.status;
  if (plan === undefined) return null;
  const counted = (count: number | undefined) => (count === undefined ? undefined : formatCount(count));
  const some = (count: number | undefined) => (count ? formatCount(count) : undefined);
  const { identitiesTotal: total, identitiesMigratable: migratable } = plan;
  const facts: Fact[] = [
    [TEXTS.identities, counted(total)],
    [TEXTS.migratable, counted(migratable)],
    [TEXTS.cannot, total !== undefined && migratable !== undefined ? some(total - migratable) : undefined],
    [TEXTS.equal, some(plan.existingEqual)],
    [TEXTS.differing, some(plan.existingDiffering)],
    [TEXTS.edgeBorn, some(plan.existingEdgeBorn)],
    [TEXTS.replaced, some(plan.existingReplaced)],
    [TEXTS.documents, plan.documentBytes === undefined ? undefined : formatBytes(plan.documentBytes)],
    [TEXTS.writeUnits, counted(plan.writeUnits)],
    [TEXTS.duration, plan.durationSeconds === undefined ? undefined : TEXTS.about(formatSpan(plan.durationSeconds))],
    [TEXTS.cost, plan.costUSD === undefined ? undefined : TEXTS.usd(plan.costUSD)],
    [TEXTS.madeAt, plan.completionTime && <Moment time={plan.completionTime} />],
  ];
  return <Facts facts={facts} />;
}

const DAY_SECONDS = 86_400;

interface SettingsOfStart {
  readonly replay?: { readonly windowSeconds: number };
  readonly copy?: { readonly maxWriteUnitsPerSecond: number };
}

interface SettingsProps {
  readonly detail: Detail;
  /** With what differs from the plan's settings; undefined while they are not valid. */
  readonly onChange: (settings: SettingsOfStart | undefined) => void;
}

function Settings({ detail: { spec }, onChange }: SettingsProps) {
  if (spec === null) return null;

  function read(event: Event) {
    const form = event.currentTarget as HTMLFormElement;
    const days = (form.elements.namedItem('days') as HTMLInputElement).valueAsNumber;
    const budget = (form.elements.namedItem('budget') as HTMLInputElement).valueAsNumber;
    if (!form.checkValidity()) return onChange(undefined);
    const windowSeconds = Math.round(days * DAY_SECONDS);
    onChange({
      ...(windowSeconds === spec?.replay.windowSeconds ? {} : { replay: { windowSeconds } }),
      ...(budget === spec?.copy.maxWriteUnitsPerSecond ? {} : { copy: { maxWriteUnitsPerSecond: budget } }),
    });
  }

  return (
    <details class="settings">
      <summary>{TEXTS.settings}</summary>
      <form onInput={read} onSubmit={(event) => event.preventDefault()}>
        <label>
          {TEXTS.window}
          <input
            name="days"
            type="number"
            min={0}
            max={365}
            step="any"
            required
            defaultValue={String(spec.replay.windowSeconds / DAY_SECONDS)}
          />
        </label>
        <label>
          {TEXTS.budget}
          <input
            name="budget"
            type="number"
            min={10}
            max={400_000}
            step={1}
            required
            defaultValue={String(spec.copy.maxWriteUnitsPerSecond)}
          />
        </label>
      </form>
    </details>
  );
}
