import { readFileSync } from 'node:fs';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { describe, expect, test } from 'vitest';
import { renderPage } from '../scripts/cli-page.ts';
import { EXIT } from './exit.ts';
import { createProgram, runProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

function capture() {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    isInteractive: false,
    columns: 80,
    rows: 24,
    write: (text) => void out.push(text),
    warn: (text) => void err.push(text),
    paint: (_, text) => text,
    confirm: async () => undefined,
  };
  return { terminal, out, err };
}

async function run(...args: string[]) {
  const { terminal, out, err } = capture();
  const code = await runProgram(args, { terminal, clock: systemClock, signal: new AbortController().signal });
  return { code, out: out.join(''), err: err.join('\n') };
}

test('docs/cli.md has the help of every command (else: node scripts/cli-page.ts)', () => {
  const page = readFileSync(new URL('../docs/cli.md', import.meta.url), 'utf8');
  expect(page).toBe(renderPage(page));
  expect(page).toContain('### finish\n');
});

describe('the command line', () => {
  test('requested help goes to standard output and ends the command line successfully', async () => {
    const { code, out, err } = await run('--help');
    expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
    expect(out).toContain('Exit codes: 0 done');
  });

  test('every command and option of the command line has a name and a description', () => {
    const program = createProgram(capture().terminal, async () => {});
    for (const command of program.commands) {
      expect(command.description(), command.name()).not.toBe('');
      for (const option of command.options) expect(option.description, option.flags).not.toBe('');
    }
  });

  test.each([
    ['an unknown command', ['destroy', '42']],
    ['an unknown option', ['list', '--everything']],
    ['a project that is not an id', ['status', '42x']],
    ['a project id that the definition does not allow', ['status', '0']],
    ['an unknown format', ['list', '-o', 'xml']],
    ['an invalid duration', ['extend', '42', '--by', 'tomorrow']],
    ['a time without a zone, which would differ between machines', ['extend', '42', '--until', '2026-12-31T18:00:00']],
    ['an unknown condition', ['watch', '42', '--until', 'Done']],
    ['plan without a project', ['plan']],
  ])('refuses %s as wrong usage, and says why on standard error', async (_, args) => {
    const { code, out, err } = await run(...args);
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toMatch(/^error: /);
  });
});
