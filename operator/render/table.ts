import { printable } from './printable.ts';

/** Left-aligned columns, three spaces apart, as kubectl prints them; missing values are empty. */
export function renderTable(header: readonly string[], rows: readonly (readonly (string | undefined)[])[]): string {
  const cells = [header, ...rows].map((row) => header.map((_, column) => printable(row[column] ?? '')));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('   ')
      .trimEnd();
  return `${cells.map(line).join('\n')}\n`;
}

/** Lines of a label and a text, the texts aligned; those without a text are omitted. */
export function renderFields(fields: readonly (readonly [string, string | undefined])[]): string {
  const known = fields.filter(([, text]) => text !== undefined && text !== '');
  const width = Math.max(0, ...known.map(([label]) => label.length));
  return known.map(([label, text]) => `${`${label}:`.padEnd(width + 2)} ${printable(text!)}\n`).join('');
}

/** `1,234,567`. */
export const formatCount = (count: number): string => count.toLocaleString('en-GB');

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1.5 GiB`. */
export function formatBinaryBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
