import { useEffect, useState } from 'preact/hooks';
import type { Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { chooseTicks } from '../view/chart.ts';
import { type CoreBar, type CoreSeries, listBars, parseCoreSeries } from '../view/core.ts';
import { formatCompact, formatCount, formatDay } from '../view/format.ts';
import { useConsole } from './context.ts';
import { Card, LabeledValues, Note, Ranking, Timestamp } from './ui.tsx';

const { core: TEXTS } = TEXT;
const NOTE_TONES = { Unknown: 'calm', Writing: 'warn', Reading: 'calm', Quiet: 'good', Gone: 'good' } as const;

/** Which apps have not moved yet: the purpose of the window. */
export function StillOnCoreCard({ detail }: { detail: Detail }) {
  const core = detail.status.replay?.stillOnCore;
  const series = useSeries(detail, core?.reportName);
  if (core === undefined) return null;
  const { state, message, clients = [], environments = [], writesPerDay, readsPerDay, identities, lastWrite } = core;
  const since = core.identitiesSince && formatDay(Date.parse(core.identitiesSince));
  const counted = (count: number | undefined) =>
    count === undefined ? TEXT.unknown : TEXTS.perDay(formatCount(count));
  const rank = (name: string, count: number | undefined) => ({
    ...{ name, count: count ?? 0, text: counted(count) },
  });
  return (
    <Card title={TEXTS.title}>
      <Note tone={NOTE_TONES[state]}>{message}</Note>
      {series && <Bars bars={listBars(series)} />}
      {clients.length > 0 && (
        <>
          <h3>{TEXTS.clients}</h3>
          <Ranking
            tone="busy"
            rows={clients.map(({ name, writesPerDay: count }) => rank(name === 'other' ? TEXTS.other : name, count))}
          />
        </>
      )}
      {environments.length > 1 && (
        <>
          <h3>{TEXTS.environments}</h3>
          <Ranking
            tone="busy"
            rows={environments.map(({ id, writesPerDay: count }) => rank(TEXTS.environment(id), count))}
          />
        </>
      )}
      <LabeledValues
        facts={[
          [TEXTS.writes, state === 'Unknown' ? TEXT.unknown : counted(writesPerDay)],
          [TEXTS.reads, state === 'Unknown' ? TEXT.unknown : counted(readsPerDay)],
          [TEXTS.identities, identities !== undefined && TEXTS.identitiesSince(formatCount(identities), since)],
          [TEXTS.last, lastWrite ? <Timestamp time={lastWrite} /> : state !== 'Unknown' && TEXT.none],
          [TEXTS.since, core.countedSince && <Timestamp time={core.countedSince} />],
        ]}
      />
    </Card>
  );
}

/** How often the days are requested again. */
const SERIES_MS = 300_000;

/** The daily series; undefined while it does not exist, or if the caller may not read it. */
function useSeries({ project_id, namespace }: Detail, reportName: string | undefined): CoreSeries | undefined {
  const { api } = useConsole();
  const [series, setSeries] = useState<CoreSeries>();
  useEffect(() => {
    if (reportName === undefined) return undefined;
    const stop = new AbortController();
    const query = new URLSearchParams({ format: 'json', namespace });
    const load = () =>
      api.get<{ stillOnCore?: unknown }>(`projects/${project_id}/report/?${query}`, stop.signal).then(
        (report) => setSeries(parseCoreSeries(report.stillOnCore)),
        () => undefined,
      );
    void load();
    const timer = setInterval(load, SERIES_MS);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [api, project_id, namespace, reportName]);
  return series;
}

const TICKS = 2;

/** Writes per day as bars; an uncounted day is hatched. */
function Bars({ bars }: { bars: readonly CoreBar[] }) {
  if (bars.length === 0) return null;
  const top = chooseTicks(Math.max(0, ...bars.map(({ day }) => day?.writes ?? 0)), TICKS).at(-1)!;
  const describeDay = ({ time, day }: CoreBar) =>
    `${formatDay(time)}: ${day === undefined ? TEXT.unknown : TEXTS.day(formatCount(day.writes), day.known === 'part')}`;
  return (
    <figure class="chart days-chart">
      <figcaption>{TEXTS.chart}</figcaption>
      <ol class="bars" aria-label={TEXTS.chart}>
        {bars.map((bar) => (
          <li key={bar.time} title={describeDay(bar)} class={bar.day === undefined ? 'not-counted' : bar.day.known}>
            <span class="hidden">{describeDay(bar)}</span>
            <span
              class="bars-bar"
              aria-hidden="true"
              style={{ height: `${((bar.day?.writes ?? top) / top) * 100}%` }}
            />
          </li>
        ))}
      </ol>
      <p class="bars-axis" aria-hidden="true">
        <span>{formatDay(bars[0]!.time)}</span>
        <span>{TEXTS.most(formatCompact(Math.max(0, ...bars.map(({ day }) => day?.writes ?? 0))))}</span>
        <span>{formatDay(bars.at(-1)!.time)}</span>
      </p>
    </figure>
  );
}
