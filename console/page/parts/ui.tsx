import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { TEXT } from '../text.ts';
import { formatDateTime, formatShare } from '../view/format.ts';
import { type StateTone, toneOf } from '../view/state.ts';
import { Icon, type IconName } from './icon.tsx';

interface Parent {
  readonly children?: ComponentChildren;
}

/** A section of the page with its own heading. */
export function Card({ title, aside, children }: Parent & { title: string; aside?: ComponentChildren }) {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id}>
      <header class="card-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

export const nameOfPhase = (phase: string) => TEXT.phase[phase] ?? phase;

/** The state in a word or two, with a colour and an icon. */
export function PhaseBadge({ phase }: { phase: string }) {
  const tone = toneOf(phase);
  return (
    <span class="badge" data-tone={tone}>
      <span class={tone === 'busy' ? 'dot pulse' : 'dot'} aria-hidden="true" />
      {nameOfPhase(phase)}
    </span>
  );
}

/** @param share 0 to 1; undefined: in progress, with unknown completion */
export function Bar({ share, label, tone = 'busy' }: { share: number | undefined; label: string; tone?: StateTone }) {
  const known =
    share === undefined ? {} : { 'aria-valuenow': Math.floor(share * 100), 'aria-valuetext': formatShare(share) };
  return (
    <div
      class={share === undefined ? 'bar unknown' : 'bar'}
      data-tone={tone}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...known}
    >
      <div class="bar-fill" style={{ width: `${(share ?? 0.3) * 100}%` }} />
    </div>
  );
}

export function Timestamp({ time }: { time: string }) {
  return (
    <time dateTime={time} title={time}>
      {formatDateTime(Date.parse(time))}
    </time>
  );
}

export type LabeledValue = readonly [label: string, value: ComponentChildren];

/** Names with values; those without a value are omitted. */
export function LabeledValues({ facts }: { facts: readonly LabeledValue[] }) {
  const known = facts.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== '');
  if (known.length === 0) return null;
  return (
    <dl class="facts">
      {known.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const NOTE_ICONS = { good: 'done', calm: 'clock', warn: 'alert', bad: 'alert' } as const satisfies Record<
  string,
  IconName
>;

export function Note({ tone, children }: Parent & { tone: keyof typeof NOTE_ICONS }) {
  return (
    <div class="note" data-tone={tone}>
      <Icon name={NOTE_ICONS[tone]} />
      <div>{children}</div>
    </div>
  );
}

export interface Rank {
  readonly name: string;
  readonly hint?: string | undefined;
  readonly count: number;
  readonly text: string;
}

/** Names with bars proportional to their counts: reasons, kinds, clients. */
export function Ranking({ rows, tone }: { rows: readonly Rank[]; tone: StateTone }) {
  const largest = Math.max(1, ...rows.map(({ count }) => count));
  return (
    <ul class="ranking" data-tone={tone}>
      {rows.map(({ name, hint, count, text }) => (
        <li key={name}>
          <span class="ranking-name" title={hint}>
            {name}
          </span>
          <span class="ranking-count">{text}</span>
          <span class="ranking-bar" aria-hidden="true">
            <span style={{ width: `${(count / largest) * 100}%` }} />
          </span>
        </li>
      ))}
    </ul>
  );
}

/** A modal dialog: the browser keeps the focus in it, closes it on Escape, and restores the focus. */
export function Modal({ title, onClose, children }: Parent & { title: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <header class="card-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="quiet square" aria-label={TEXT.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  );
}
