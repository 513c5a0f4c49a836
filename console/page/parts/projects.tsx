import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { TEXT } from '../text.ts';
import { formatCount } from '../view/format.ts';
import { FIRST_QUERY, PAGE_SIZES, type ProjectsQuery, parseProjectId } from '../view/route.ts';
import { sortPhases, toneOf } from '../view/state.ts';
import { useConsole } from './context.ts';
import { Icon } from './icon.tsx';
import { ProjectTable } from './project-table.tsx';
import { Modal, Note, nameOfPhase } from './ui.tsx';
import { useProjects } from './use-projects.ts';
import { useTitle } from './use-title.ts';

const { projects: TEXTS } = TEXT;

/** All projects: searched, filtered, sorted and paged by the server, since there may be thousands. */
export function ProjectsView({ query }: { query: ProjectsQuery }) {
  const { go, session } = useConsole();
  const { page, problem, isLive } = useProjects(query);
  const [isAdding, setAdding] = useState(false);
  const heading = useTitle(TEXTS.title);
  const change = (part: Partial<ProjectsQuery>, replace = false) =>
    go({ kind: 'projects', query: { ...query, page: 1, ...part } }, { replace });
  const isFiltered = query.search !== '' || query.phase !== '';
  return (
    <>
      <div class="title-row">
        <h1 ref={heading} tabIndex={-1}>
          {TEXTS.title}
          {page && <span class="count">{formatCount(page.count)}</span>}
        </h1>
        <LiveSign isLive={isLive} />
        {session.may.create && (
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            <Icon name="plus" />
            {TEXTS.add}
          </button>
        )}
      </div>
      {problem && <Note tone="bad">{problem}</Note>}
      <div class="tools">
        <Search search={query.search} onSearch={(search) => change({ search }, true)} />
        {page && <PhaseFilter phases={page.phases} chosen={query.phase} onChoose={(phase) => change({ phase })} />}
      </div>
      {/* Heard, where what is found is not seen at a glance. */}
      <p class="hidden" role="status">
        {page && isFiltered ? TEXTS.count(page.count) : ''}
      </p>
      {page === undefined ? (
        !problem && <p class="quiet-text">{TEXT.loading}</p>
      ) : page.results.length === 0 ? (
        <div class="empty card">
          <p>{isFiltered ? TEXTS.emptySearch : TEXTS.empty}</p>
          {isFiltered && (
            <button type="button" onClick={() => go({ kind: 'projects', query: FIRST_QUERY })}>
              {TEXTS.clear}
            </button>
          )}
        </div>
      ) : (
        <>
          <ProjectTable rows={page.results} ordering={query.ordering} onOrder={(ordering) => change({ ordering })} />
          <Pager query={query} count={page.count} onChange={change} />
        </>
      )}
      {isAdding && <AddProject onClose={() => setAdding(false)} />}
    </>
  );
}

/** Whether the displayed data is updated live. */
export function LiveSign({ isLive }: { isLive: boolean }) {
  return (
    <span class="live" data-tone={isLive ? 'good' : 'warn'} title={isLive ? undefined : TEXT.live.offHint}>
      <span class="dot" aria-hidden="true" />
      {isLive ? TEXT.live.on : TEXT.live.off}
    </span>
  );
}

const PAUSE_MS = 250;

function Search({ search, onSearch }: { search: string; onSearch: (text: string) => void }) {
  const [text, setText] = useState(search);
  const input = useRef<HTMLInputElement>(null);
  const latest = useRef(onSearch);
  latest.current = onSearch;
  /** The last requested search: a resulting change of the address must not undo newer input. */
  const sent = useRef(search);
  useEffect(() => {
    if (search !== sent.current) setText(search);
    sent.current = search;
  }, [search]);
  useEffect(() => {
    if (text === sent.current) return undefined;
    const timer = setTimeout(() => {
      sent.current = text;
      latest.current(text);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  // Whoever sees the box can use its key already.
  useLayoutEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const isTyping = (event.target as Element).closest('input, select, textarea, dialog') !== null;
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener('keydown', focus);
    return () => removeEventListener('keydown', focus);
  }, []);
  return (
    <search class="search">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        aria-label={TEXTS.search}
        aria-keyshortcuts="/"
        title={TEXTS.searchKey}
        placeholder={TEXTS.searchHint}
        maxLength={200}
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
      />
      <span class="key" aria-hidden="true">
        /
      </span>
    </search>
  );
}

interface PhaseFilterProps {
  readonly phases: Readonly<Record<string, number>>;
  readonly chosen: string;
  readonly onChoose: (phase: string) => void;
}

function PhaseFilter({ phases, chosen, onChoose }: PhaseFilterProps) {
  const counts: Readonly<Record<string, number>> = chosen === '' ? phases : { [chosen]: 0, ...phases };
  const all = Object.values(phases).reduce((sum, count) => sum + count, 0);
  const chips: [phase: string, name: string, count: number][] = [
    ['', TEXTS.all, all],
    ...sortPhases(Object.keys(counts)).map((phase): [string, string, number] => [
      phase,
      nameOfPhase(phase),
      counts[phase]!,
    ]),
  ];
  return (
    <fieldset class="chips">
      <legend class="hidden">{TEXTS.filter}</legend>
      {chips.map(([phase, name, count]) => (
        <button
          key={phase}
          type="button"
          class="chip"
          data-tone={phase === '' ? undefined : toneOf(phase)}
          aria-pressed={chosen === phase}
          onClick={() => onChoose(phase)}
        >
          {phase !== '' && <span class="dot" aria-hidden="true" />}
          {name}
          <span class="chip-count">{formatCount(count)}</span>
        </button>
      ))}
    </fieldset>
  );
}

interface PagerProps {
  readonly query: ProjectsQuery;
  readonly count: number;
  readonly onChange: (part: Partial<ProjectsQuery>) => void;
}

function Pager({ query: { page, pageSize }, count, onChange }: PagerProps) {
  const pages = Math.max(1, Math.ceil(count / pageSize));
  return (
    <nav class="pager" aria-label={TEXTS.pages}>
      <button type="button" disabled={page <= 1} onClick={() => onChange({ page: page - 1 })}>
        <Icon name="back" />
        {TEXTS.previous}
      </button>
      <span>{TEXTS.page(page, pages)}</span>
      <button type="button" disabled={page >= pages} onClick={() => onChange({ page: page + 1 })}>
        {TEXTS.next}
        <Icon name="next" />
      </button>
      <label>
        {TEXTS.pageSize}
        <select value={pageSize} onChange={({ currentTarget }) => onChange({ pageSize: Number(currentTarget.value) })}>
          {PAGE_SIZES.map((size) => (
            <option key={size} value={size}>
              {size}
            </option>
          ))}
        </select>
      </label>
    </nav>
  );
}

function AddProject({ onClose }: { onClose: () => void }) {
  const { go } = useConsole();
  const [isWrong, setWrong] = useState(false);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    const projectId = parseProjectId(String(new FormData(event.currentTarget as HTMLFormElement).get('project')));
    setWrong(projectId === undefined);
    if (projectId !== undefined) go({ kind: 'project', projectId, namespace: undefined });
  }

  return (
    <Modal title={TEXTS.addTitle} onClose={onClose}>
      <form onSubmit={submit}>
        <label for="add-project">{TEXTS.addLabel}</label>
        <input
          id="add-project"
          name="project"
          inputMode="numeric"
          autoComplete="off"
          required
          aria-invalid={isWrong}
          aria-describedby="add-project-hint"
        />
        <p id="add-project-hint" class={isWrong ? 'hint wrong' : 'hint'} role={isWrong ? 'alert' : undefined}>
          {isWrong ? TEXTS.addInvalid : TEXTS.addHint}
        </p>
        <div class="buttons">
          <button type="button" onClick={onClose}>
            {TEXT.cancel}
          </button>
          <button type="submit" class="primary">
            {TEXTS.addSubmit}
          </button>
        </div>
      </form>
    </Modal>
  );
}
