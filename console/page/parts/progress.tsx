import type { Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatCount, formatLag, formatShare, formatSpan } from '../view/format.ts';
import { countDown, shareOf } from '../view/state.ts';
import { useNow } from './context.ts';
import { Bar, Card, type LabeledValue, LabeledValues, Timestamp } from './ui.tsx';

const some = (count: number | undefined) => (count ? formatCount(count) : undefined);

/** The progress of the copy, or its result. */
export function Copying({ detail }: { detail: Detail }) {
  const now = useNow();
  const { copy: texts } = TEXT;
  const { copy = {}, skipped } = detail.status;
  const share = shareOf(detail);
  const isOver = copy.completionTime !== undefined;
  const isRunning = copy.startTime !== undefined && !isOver;
  const { estimated_completion: eta, identities_total: total, identities_read: read } = detail;
  const took =
    isOver && copy.startTime ? (Date.parse(copy.completionTime!) - Date.parse(copy.startTime)) / 1000 : undefined;
  const budget = detail.spec?.copy.maxWriteUnitsPerSecond;
  const facts: LabeledValue[] = [
    [texts.remaining, isRunning && detail.identities_remaining !== null && formatCount(detail.identities_remaining)],
    [
      texts.rate,
      isRunning && detail.identities_per_second !== null && texts.perSecond(formatCount(detail.identities_per_second)),
    ],
    [texts.eta, isRunning && eta !== null && TEXT.plan.about(formatSpan((Date.parse(eta) - now) / 1000))],
    [texts.copied, copy.identitiesCopied === undefined ? undefined : formatCount(copy.identitiesCopied)],
    [texts.unchanged, some(copy.identitiesUnchanged)],
    [texts.conflicting, some(copy.identitiesConflicting)],
    [texts.skipped, some(skipped?.total)],
    [texts.took, took === undefined ? undefined : formatSpan(took)],
    [texts.writeUnits, some(copy.writeUnits)],
    [texts.budget, isRunning && budget !== undefined && texts.budgetText(formatCount(budget))],
    [texts.throttled, some(copy.throttledRequests)],
    [texts.failedRanges, copy.rangesFailed ? texts.failedText(copy.rangesFailed, copy.rangesTotal ?? 0) : undefined],
  ];
  return (
    <Card title={texts.title} aside={share !== undefined && <span class="figure">{formatShare(share)}</span>}>
      {share === undefined && !isRunning ? (
        <p class="quiet-text">{texts.notBegun}</p>
      ) : (
        <Bar share={share} label={TEXT.project.progress} tone={isOver ? 'good' : 'busy'} />
      )}
      {total !== null && <p class="bar-text">{texts.of(formatCount(read ?? 0), formatCount(total))}</p>}
      <LabeledValues facts={facts} />
    </Card>
  );
}

/** The replay window, and the lag of replay. */
export function Window({ detail }: { detail: Detail }) {
  const now = useNow();
  const { replay: texts } = TEXT;
  const { replay = {}, copy = {} } = detail.status;
  const { deadline, lag_seconds: lag } = detail;
  if (deadline === null) return null;
  const begin = copy.completionTime === undefined ? undefined : Date.parse(copy.completionTime);
  const count = countDown(Date.parse(deadline), begin, now);
  const facts: LabeledValue[] = [
    [texts.lag, lag !== null && formatLag(lag)],
    [texts.applied, replay.eventsApplied === undefined ? undefined : formatCount(replay.eventsApplied)],
    [texts.last, replay.lastAppliedTime && <Timestamp time={replay.lastAppliedTime} />],
    [texts.unchanged, some(replay.eventsUnchanged)],
    [texts.parked, some(replay.eventsParked)],
    [texts.unresolved, some(replay.eventsUnresolved)],
    [texts.dropped, some(replay.eventsDropped)],
  ];
  return (
    <Card title={texts.window}>
      {!count.isOver && <Clock count={count} />}
      {count.passed !== undefined && (
        <Bar share={count.passed} label={texts.window} tone={count.isOver ? 'calm' : 'good'} />
      )}
      <p class="bar-text">
        {count.isOver ? texts.ended : texts.ends} <Timestamp time={deadline} />
      </p>
      <LabeledValues facts={facts} />
    </Card>
  );
}

function Clock({ count }: { count: ReturnType<typeof countDown> }) {
  const { replay: texts } = TEXT;
  const parts: [number, string][] = [
    [count.days, texts.days],
    [count.hours, texts.hours],
    [count.minutes, texts.minutes],
    [count.seconds, texts.seconds],
  ];
  return (
    <p class="clock" role="timer" aria-live="off">
      {parts.map(([value, unit], index) => (
        <span key={unit} class="clock-part">
          <span class="clock-value">{index === 0 ? value : String(value).padStart(2, '0')}</span>
          <span class="clock-unit">{unit}</span>
        </span>
      ))}
      <span class="hidden"> {texts.left}</span>
    </p>
  );
}
