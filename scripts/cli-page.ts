/**
 * Writes the help of all commands into docs/cli.md. `node scripts/cli-page.ts`; a test fails when the page and the commands
 * differ.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createProgram } from '@edge-migration/cli/program.ts';
import type { Terminal } from '@edge-migration/cli/terminal.ts';

const PAGE = new URL('../docs/cli.md', import.meta.url);
const MARK = "<!-- Generated from the commands' own help by `node scripts/cli-page.ts`. -->\n";

/** The page with the commands' own help. */
export function renderPage(page: string): string {
  const terminal: Terminal = {
    isInteractive: false,
    columns: 100,
    rows: 1000,
    write: () => {},
    warn: () => {},
    paint: (_, text) => text,
    confirm: async () => undefined,
  };
  const program = createProgram(terminal, async () => {});
  const sections = program.commands.map(
    (command) => `### ${command.name()}\n\n\`\`\`\n${command.helpInformation().trimEnd()}\n\`\`\`\n`,
  );
  const written = page.slice(0, page.indexOf(MARK) + MARK.length);
  return `${written}\n${sections.join('\n')}`;
}

if (import.meta.main) writeFileSync(PAGE, renderPage(readFileSync(PAGE, 'utf8')));
