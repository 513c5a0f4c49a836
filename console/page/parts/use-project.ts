import { useCallback, useEffect, useState } from 'preact/hooks';
import { ApiProblemError } from '../client/api.ts';
import { followEvents } from '../client/events.ts';
import type { Detail, Sample } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { appendSample } from '../view/series.ts';
import { useConsole } from './context.ts';

/** `none`: there is no EdgeMigration, or none that the caller may see; `removed`: it was deleted. */
export type Presence = 'loading' | 'there' | 'none' | 'removed';

/** How often the page checks whether a missing migration has appeared. */
const POLL_MS = 10_000;

/** The state on which the possible actions depend: they are reloaded when it changes. */
const stateOf = ({ generation, phase, outcome, deadline, status }: Detail) =>
  JSON.stringify([generation, phase, outcome, deadline, status.observedRetry, status.verification?.current?.run]);

/** One project's migration, updated live, with its measurements. */
export function useProject(projectId: number, namespace: string | undefined) {
  const { api } = useConsole();
  const [presence, setPresence] = useState<Presence>('loading');
  const [detail, setDetail] = useState<Detail>();
  const [samples, setSamples] = useState<readonly Sample[]>([]);
  const [problem, setProblem] = useState<string>();
  const [isLive, setLive] = useState(false);
  const query = namespace === undefined ? '' : `?${new URLSearchParams({ namespace })}`;
  const root = `projects/${projectId}/`;

  const load = useCallback(async () => {
    try {
      setDetail(await api.get<Detail>(`${root}${query}`));
      setPresence('there');
      setProblem(undefined);
    } catch (error) {
      const isMissing = error instanceof ApiProblemError && error.problem.status === 404;
      if (isMissing) setPresence((known) => (known === 'there' || known === 'removed' ? 'removed' : 'none'));
      setProblem(isMissing ? undefined : error instanceof ApiProblemError ? error.message : TEXT.failure.network);
    }
  }, [api, root, query]);

  const isThere = presence === 'there';
  useEffect(() => {
    if (presence === 'loading') void load();
    if (isThere) return undefined;
    const timer = setInterval(load, POLL_MS);
    return () => clearInterval(timer);
  }, [load, presence, isThere]);

  useEffect(() => {
    if (!isThere) return undefined;
    const stop = new AbortController();
    // Without measurements from before the page was opened, charts start with those from now on.
    api.get<{ samples: Sample[] }>(`${root}series/${query}`, stop.signal).then(
      (series) => setSamples((known) => [...series.samples, ...known]),
      () => undefined,
    );
    const listener = {
      live: setLive,
      event({ name, data }: { name: string; data: unknown }) {
        if (name === 'removed') return setPresence('removed');
        const event = data as Detail;
        setDetail((known) => (known?.actions === undefined ? event : { ...event, actions: known.actions }));
        setSamples((known) => appendSample(known, event, event.server_time));
      },
    };
    void followEvents(api, `${root}events/${query}`, listener, stop.signal);
    return () => stop.abort();
  }, [api, root, query, isThere]);

  const state = detail && stateOf(detail);
  const [actionsOf, setActionsOf] = useState(state);
  useEffect(() => {
    if (state === actionsOf) return;
    setActionsOf(state);
    if (actionsOf !== undefined) void load();
  }, [state, actionsOf, load]);

  return { presence, detail, samples, problem, isLive, reload: load };
}
