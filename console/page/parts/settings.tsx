import { useState } from 'preact/hooks';
import type { Detail, Spec } from '../client/types.ts';
import { TEXT } from '../text.ts';

const { plan: TEXTS } = TEXT;
const DAY_SECONDS = 86_400;
const MOST_WRITE_UNITS = 400_000;

/** What may be set when a plan is made a migration. */
export interface SettingsOfStart {
  readonly replay?: { readonly windowSeconds: number };
  readonly copy?: { readonly maxWriteUnitsPerSecond: number };
}

interface SettingsProps {
  readonly detail: Detail;
  /** With what differs from the plan's settings; undefined while they are not valid. */
  readonly onChange: (settings: SettingsOfStart | undefined) => void;
}

/** As the custom resource's definition has it: 10, and 5 for each pod that writes. */
const leastWriteUnits = ({ copy }: Spec) => Math.max(10, 5 * copy.parallelism);

/** The settings of a plan that the button may change. */
export function Settings({ detail: { spec }, onChange }: SettingsProps) {
  const [wrong, setWrong] = useState<ReadonlySet<string>>(new Set());
  if (spec === null) return null;

  function read(event: Event) {
    const form = event.currentTarget as HTMLFormElement;
    const inputs = [...form.querySelectorAll('input')];
    setWrong(new Set(inputs.filter(({ validity }) => !validity.valid).map(({ name }) => name)));
    if (!form.checkValidity()) return onChange(undefined);
    const [days, budget] = ['days', 'budget'].map(
      (name) => (form.elements.namedItem(name) as HTMLInputElement).valueAsNumber,
    ) as [number, number];
    const windowSeconds = Math.round(days * DAY_SECONDS);
    onChange({
      ...(windowSeconds === spec?.replay.windowSeconds ? {} : { replay: { windowSeconds } }),
      ...(budget === spec?.copy.maxWriteUnitsPerSecond ? {} : { copy: { maxWriteUnitsPerSecond: budget } }),
    });
  }

  const least = leastWriteUnits(spec);
  return (
    <details class="settings">
      <summary>{TEXTS.settings}</summary>
      <form onInput={read} onSubmit={(event) => event.preventDefault()}>
        <NumberField
          {...{ name: 'days', label: TEXTS.window, isWrong: wrong.has('days'), hint: TEXTS.invalid(0, 365) }}
          {...{ least: 0, most: 365, step: 'any', value: spec.replay.windowSeconds / DAY_SECONDS }}
        />
        <NumberField
          {...{ name: 'budget', label: TEXTS.budget, isWrong: wrong.has('budget') }}
          {...{ hint: TEXTS.invalidWhole(least, MOST_WRITE_UNITS), least, most: MOST_WRITE_UNITS, step: 1 }}
          value={spec.copy.maxWriteUnitsPerSecond}
        />
      </form>
    </details>
  );
}

interface NumberFieldProps {
  readonly name: string;
  readonly label: string;
  readonly least: number;
  readonly most: number;
  readonly step: number | 'any';
  /** What it begins with. */
  readonly value: number;
  readonly isWrong: boolean;
  /** What is taken. */
  readonly hint: string;
}

function NumberField({ name, label, least, most, step, value, isWrong, hint }: NumberFieldProps) {
  const id = `setting-${name}`;
  return (
    <div>
      <label for={id}>{label}</label>
      <input
        {...{ id, name, type: 'number', min: least, max: most, step, required: true, defaultValue: String(value) }}
        aria-invalid={isWrong}
        aria-describedby={`${id}-hint`}
      />
      <p id={`${id}-hint`} class={isWrong ? 'hint wrong' : 'hint'} role={isWrong ? 'alert' : undefined}>
        {hint}
      </p>
    </div>
  );
}
