import type { ActionName, Detail } from '../client/types.ts';
import { TEXT } from '../text.ts';
import { Icon, type IconName } from './icon.tsx';
import { ConfirmDialog } from './question.tsx';
import { Card } from './ui.tsx';
import { useAction, whyNot } from './use-action.ts';

const { actions: TEXTS } = TEXT;

const ICONS: Readonly<Record<ActionName, IconName>> = {
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
/** In display order; plan and migrate are shown elsewhere. */
const LISTED = ['suspend', 'resume', 'extend', 'verify', 'repair', 'retry', 'finish'] as const;
/** The others apply to a copy, which a plan has not made. */
const LISTED_OF_PLAN = ['suspend', 'resume', 'retry'] as const;

interface ActionsProps {
  readonly detail: Detail;
  readonly changed: () => void;
}

export function Actions({ detail, changed }: ActionsProps) {
  const { busy, asked, press, make, close } = useAction(detail.project_id, detail.namespace, changed);
  const { actions } = detail;
  if (actions === undefined) return null;

  const listed: readonly ActionName[] = detail.mode === 'Plan' ? LISTED_OF_PLAN : LISTED;
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
                aria-disabled={busy !== undefined}
                aria-describedby={`hint-${action}`}
                onClick={() => press(action, actions[action])}
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
      {asked && <ConfirmDialog asked={asked} make={make} onClose={close} />}
    </Card>
  );
}
