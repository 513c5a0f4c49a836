import { useEffect, useRef, useState } from 'preact/hooks';
import type { ActionName } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { Modal, Note } from './ui.tsx';
import { type Asked, describe, warningsIn } from './use-action.ts';

const { actions: TEXTS } = TEXT;

interface QuestionProps {
  readonly asked: Asked;
  /** Throws the server's problem. */
  readonly make: (action: ActionName, body: object) => Promise<void>;
  readonly onClose: () => void;
}

/**
 * Asks for confirmation of a change. A change that cannot be undone also needs a checked box, and another one for new
 * warnings.
 */
export function ConfirmDialog({ asked: { action, body, warnings: known }, make, onClose }: QuestionProps) {
  const [warnings, setWarnings] = useState(known);
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const codes = warnings.map(({ code }) => code);
  const tick = useRef<HTMLInputElement>(null);
  const isAskedAgain = warnings !== known;
  useEffect(() => {
    if (isAskedAgain) tick.current?.focus();
  }, [warnings, isAskedAgain]);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const by = action === 'extend' ? { by: `${form.get('days')}d` } : {};
    setBusy(true);
    setProblem(undefined);
    try {
      await make(action, { ...body, ...by, ...(codes.length === 0 ? {} : { confirm: codes }) });
      return onClose();
    } catch (error) {
      const news = warningsIn(error);
      if (news === undefined) setProblem(describe(error));
      else setWarnings(news);
    }
    setBusy(false);
  }

  return (
    <Modal title={TEXTS.confirmTitle(TEXTS.names[action])} onClose={onClose}>
      <form onSubmit={submit}>
        <p>{TEXTS.hints[action]}</p>
        {action === 'extend' && <Days />}
        {warnings.length > 0 && (
          <>
            <Note tone="warn">
              <strong>{TEXTS.cannotUndo}</strong> {warnings.map(({ text }) => TEXTS.sentence(text)).join(' ')}
            </Note>
            <label class="tick" key={codes.join()}>
              <input ref={tick} type="checkbox" name="understood" required />
              {TEXTS.understood}
            </label>
          </>
        )}
        <div role="alert">
          {isAskedAgain && <Note tone="warn">{TEXTS.askedAgain}</Note>}
          {problem && <Note tone="bad">{problem}</Note>}
        </div>
        <div class="buttons">
          <button type="button" onClick={onClose}>
            {TEXT.cancel}
          </button>
          <button type="submit" class={warnings.length === 0 ? 'primary' : 'primary danger'} disabled={isBusy}>
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
