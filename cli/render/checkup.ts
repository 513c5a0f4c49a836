import { printable } from '@edge-migration/operator/render/printable.ts';
import type { CheckResult, CheckStatus } from '../checkup.ts';
import type { Style } from '../terminal.ts';

const MARKS: Record<CheckStatus, { readonly word: string; readonly style: Style }> = {
  ok: { word: 'ok     ', style: 'green' },
  warning: { word: 'WARNING', style: 'yellow' },
  failed: { word: 'FAILED ', style: 'red' },
  unknown: { word: 'unknown', style: 'dim' },
};

/** One line for each result, followed by its remedy. */
export function renderCheckup(findings: readonly CheckResult[], paint: (style: Style, text: string) => string): string {
  return findings
    .map(({ check, verdict, message, remedy }) => {
      const { word, style } = MARKS[verdict];
      const line = `${paint(style, word)}  ${printable(check)}: ${printable(message)}\n`;
      return remedy === undefined ? line : `${line}         -> ${printable(remedy)}\n`;
    })
    .join('');
}
