import { useState } from 'preact/hooks';
import { ApiProblem } from '../client/api.ts';
import type { Action, ActionState, ChangeAnswer, Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { useConsole } from './context.ts';
import { Icon, type IconName } from './icon.tsx';
import { Card, Modal, Note } from './ui.tsx';

const { actions: TEXTS } = TEXT;

const ICONS: Readonly<Record<Action, IconName>> = {
  migrate: 'arrow',
  plan: 'search',
  suspend: 'pause',
  resume: 'play',
  extend: 'clock',
  verify: 'compare',
  repair: 'repair',
  retry: 'retry',
  finish: 'flag',
};
/** In the order in which they are shown; plan and migrate have a place of their own. */
const LISTED = ['suspend', 'resume', 'extend', 'verify', 'repair', 'retry', 'finish'] as const;
/** The others are about a copy, which a plan has not made. */
const LISTED_OF_PLAN = ['suspend', 'resume', 'retry'] as const;
/** Asked for before, because they need a setting or cannot be undone. */
const ASKED: readonly Action[] = ['extend', 'finish', 'repair'];

/** Sends a change, says what came of it, and answers whether it was made; a question of the server is thrown. */
export function useChange(projectId: number, namespace: string | undefined, changed: () => void) {
  const { api, say } = useConsole();
  const query = namespace === undefined ? '' : `?${new URLSearchParams({ namespace })}`;
  return async (action: Action, body?: object): Promise<void> => {
    const path = action === 'migrate' ? 'migrate-to-edge' : action;
    const { message } = await api.post<ChangeAnswer>(`projects/${projectId}/${path}/${query}`, body);
    say(TEXTS.done(message));
    changed();
  };
}

interface ActionsProps {
  readonly detail: Detail;
  readonly changed: () => void;
}

export function Actions({ detail, changed }: ActionsProps) {
  const { say } = useConsole();
  const [asked, setAsked] = useState<Action>();
  const [busy, setBusy] = useState<Action>();
  const change = useChange(detail.project_id, detail.namespace, changed);
  const { actions } = detail;
  if (actions === undefined) return null;

  async function press(action: Action) {
    if (ASKED.includes(action) || actions?.[action].warning) return setAsked(action);
    setBusy(action);
    try {
      await change(action);
    } catch (error) {
      if (error instanceof ApiProblem && error.problem.code === 'confirmation_required') setAsked(action);
      else say(describe(error), 'bad');
    }
    setBusy(undefined);
  }

  const listed: readonly Action[] = detail.mode === 'Plan' ? LISTED_OF_PLAN : LISTED;
  const can = listed.filter((action) => actions[action].allowed && actions[action].possible);
  const cannot = listed.filter((action) => !can.includes(action));
  return (
    <Card title={TEXTS.title}>
      {can.length > 0 && (
        <ul class="actions">
          {can.map((action) => (
            <li key={action}>
              <button
                type="button"
                class={action === 'finish' || action === 'repair' ? 'danger' : undefined}
                disabled={busy !== undefined}
                aria-describedby={`hint-${action}`}
                onClick={() => press(action)}
              >
                <Icon name={ICONS[action]} />
                {busy === action ? TEXTS.working : TEXTS.names[action]}
              </button>
              <p id={`hint-${action}`} class="hint">
                {TEXTS.hints[action]}
              </p>
            </li>
          ))}
        </ul>
      )}
      {cannot.length > 0 && (
        <details class="cannot">
          <summary>{TEXTS.notNow}</summary>
          <dl>
            {cannot.map((action) => (
              <div key={action}>
                <dt>{TEXTS.names[action]}</dt>
                <dd>{whyNot(actions[action])}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
      {asked && (
        <Question
          action={asked}
          warning={actions[asked].warning}
          change={(body) => change(asked, body)}
          onClose={() => setAsked(undefined)}
        />
      )}
    </Card>
  );
}

export function whyNot({ allowed, reason }: ActionState): string {
  return allowed ? (reason ?? '') : TEXTS.notAllowed;
}

/** What to tell of a change that was not made. */
export const describe = (error: unknown) => (error instanceof ApiProblem ? error.message : TEXT.failure.network);

interface QuestionProps {
  readonly action: Action;
  readonly warning: string | null;
  readonly change: (body: object) => Promise<void>;
  readonly onClose: () => void;
}

/** Asks before a change. What cannot be undone needs a tick besides the button. */
function Question({ action, warning: known, change, onClose }: QuestionProps) {
  const [warning, setWarning] = useState(known);
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const by = action === 'extend' ? { by: `${form.get('days')}d` } : {};
    setBusy(true);
    try {
      await change({ ...by, ...(warning === null ? {} : { confirm: true }) });
      onClose();
    } catch (error) {
      setBusy(false);
      const question = error instanceof ApiProblem && error.problem.code === 'confirmation_required';
      if (question) setWarning(error.problem.warning ?? error.message);
      else setProblem(describe(error));
    }
  }

  return (
    <Modal title={TEXTS.confirmTitle(TEXTS.names[action])} onClose={onClose}>
      <form onSubmit={submit}>
        <p>{TEXTS.hints[action]}</p>
        {action === 'extend' && <Days />}
        {warning !== null && (
          <>
            <Note tone="warn">
              <strong>{TEXTS.cannotUndo}</strong> {TEXTS.sentence(warning)}
            </Note>
            <label class="tick">
              <input type="checkbox" name="understood" required />
              {TEXTS.understood}
            </label>
          </>
        )}
        <div role="alert">{problem && <Note tone="bad">{problem}</Note>}</div>
        <div class="buttons">
          <button type="button" onClick={onClose}>
            {TEXT.cancel}
          </button>
          <button type="submit" class={warning === null ? 'primary' : 'primary danger'} disabled={isBusy}>
            {isBusy ? TEXTS.working : TEXTS.names[action]}
          </button>
        </div>
      </form>
    </Modal>
  );
}

const DAYS = [7, 14, 28];

function Days() {
  const [days, setDays] = useState(7);
  return (
    <fieldset class="days">
      <legend>{TEXTS.extendBy}</legend>
      <div class="chips">
        {DAYS.map((count) => (
          <button key={count} type="button" class="chip" aria-pressed={days === count} onClick={() => setDays(count)}>
            {TEXTS.extendDays(count)}
          </button>
        ))}
      </div>
      <label>
        {TEXTS.extendOther}
        <input
          name="days"
          type="number"
          min={1}
          max={365}
          step={1}
          required
          value={days}
          onInput={({ currentTarget }) => setDays(currentTarget.valueAsNumber)}
        />
      </label>
    </fieldset>
  );
}
