import { MOST_CHARACTERS } from '../installation/report.ts';
import type { CheckOutcome } from './check.ts';

const WORDS = { ok: 'ok  ', warning: 'WARN', failed: 'FAIL' };

/** For people: a line each, and another one for the remedy. */
export function renderAsLines(outcomes: readonly CheckOutcome[]): string {
  const lines = outcomes.flatMap(({ name, verdict, text, remedy }) => [
    `${WORDS[verdict]}  ${name.padEnd(10)}  ${text}\n`,
    ...(remedy === undefined ? [] : [`                  -> ${remedy}\n`]),
  ]);
  return lines.join('');
}

/** For programs: one line of JSON. */
export function renderAsJson(outcomes: readonly CheckOutcome[]): string {
  const bounded = outcomes.map(({ text, ...outcome }) => ({ ...outcome, text: text.slice(0, MOST_CHARACTERS) }));
  return `${JSON.stringify({ outcomes: bounded })}\n`;
}
