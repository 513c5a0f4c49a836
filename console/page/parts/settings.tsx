import { useState } from 'preact/hooks';
import type { Detail, Spec } from '../client/types.ts';
import { TEXT } from '../text.ts';

const { plan: TEXTS } = TEXT;
const DAY_SECONDS = 86_400;
const MOST_WRITE_UNITS = 400_000;

/** The settings that may be changed when a plan becomes a migration. */
export interface SettingsOfStart {
  readonly replay?: { readonly windowSeconds: number };
  readonly copy?: { readonly maxWriteUnitsPerSecond: number };
}

interface SettingsProps {
  readonly detail: Detail;
  /** Called with the differences from the plan's settings; undefined while they are invalid. */
  readonly onChange: (settings: SettingsOfStart | undefined) => void;
}

/** As in the custom resource's definition: 10, and 5 for each writing pod. */
const leastWriteUnits = ({ copy }: Spec) => Math.max(10, 5 * copy.parallelism);

/** The settings of a plan that may be changed before the migration. */
export function SettingsForm({ detail: { spec }, onChange }: SettingsProps) {
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
  /** The initial value. */
  readonly value: number;
  readonly isWrong: boolean;
  /** The accepted values. */
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
