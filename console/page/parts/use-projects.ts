import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiProblemError } from '../client/api.ts';
import { followEvents } from '../client/events.ts';
import type { ProjectPage, ProjectSummary } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { formatProjectsQuery, type ProjectsQuery } from '../view/route.ts';
import { useConsole } from './context.ts';

/** How often the list is reloaded: events report changes of the shown rows, but not which other rows belong here. */
const LIST_MS = 15_000;

const keyOf = ({ namespace, name }: Pick<ProjectSummary, 'namespace' | 'name'>) => `${namespace}/${name}`;

/** One page of projects, whose rows are updated live. */
export function useProjects(query: ProjectsQuery) {
  const { api } = useConsole();
  const [page, setPage] = useState<ProjectPage>();
  const [problem, setProblem] = useState<string>();
  const [isLive, setLive] = useState(false);
  const address = `projects/?${formatProjectsQuery(query)}`;

  const request = useRef<AbortController>(undefined);
  const load = useCallback(async () => {
    request.current?.abort();
    request.current = new AbortController();
    const { signal } = request.current;
    try {
      const answer = await api.get<ProjectPage>(address, signal);
      setPage(answer);
      setProblem(undefined);
    } catch (error) {
      if (!signal.aborted) setProblem(error instanceof ApiProblemError ? error.message : TEXT.failure.network);
    }
  }, [api, address]);

  useEffect(() => {
    void load();
    const timer = setInterval(load, LIST_MS);
    return () => {
      clearInterval(timer);
      request.current?.abort();
    };
  }, [load]);

  const ids = [...new Set(page?.results.map(({ project_id }) => project_id))].join('&project_id=');
  useEffect(() => {
    if (ids === '') return undefined;
    const stop = new AbortController();
    const listener = {
      live: setLive,
      event({ name, data }: { name: string; data: unknown }) {
        if (name === 'project') setPage((known) => known && replaceRow(known, data as ProjectSummary));
        else void load();
      },
    };
    void followEvents(api, `projects/events/?project_id=${ids}`, listener, stop.signal);
    return () => stop.abort();
  }, [api, ids, load]);

  return { page, problem, isLive };
}

function replaceRow(page: ProjectPage, summary: ProjectSummary): ProjectPage {
  const key = keyOf(summary);
  if (!page.results.some((row) => keyOf(row) === key)) return page;
  return { ...page, results: page.results.map((row) => (keyOf(row) === key ? summary : row)) };
}
