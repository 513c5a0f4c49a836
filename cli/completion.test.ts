import { expect, test } from 'vitest';
import { complete } from './completion.ts';
import { createProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

const terminal = { columns: 80 } as Terminal;
const program = createProgram(terminal, async () => {});

test.each([
  ['commands are offered for the first word', ['re'], ['report', 'resume', 'retry', 'repair']],
  ['the options of the command are offered', ['extend', '42', '--u'], ['--until']],
  ['an option that was given already is not offered again', ['extend', '--by', '7d', '--b'], []],
  ['the values that an option accepts are offered', ['list', '-o', ''], ['json', 'yaml', 'wide', 'name']],
  ['a condition to wait for is completed', ['watch', '--until', 'Co'], ['Copied']],
  ['nothing is offered for a free value', ['list', '-n', ''], []],
  ['nothing is offered for a project', ['status', ''], []],
  ['nothing is offered for an unknown command', ['destroy', '-'], []],
])('%s', (_, words, candidates) => {
  expect(complete(program, words)).toEqual(candidates);
});
