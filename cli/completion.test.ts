import { expect, test } from 'vitest';
import { complete } from './completion.ts';
import { createProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

const terminal = { columns: 80 } as Terminal;
const program = createProgram(terminal, async () => {});

test.each([
  ['the first word is a command', ['re'], ['report', 'resume', 'retry', 'repair']],
  ['an option is one of the command', ['extend', '42', '--u'], ['--until']],
  ['an option that is there already is not said twice', ['extend', '--by', '7d', '--b'], []],
  ['the value of an option is one that it takes', ['list', '-o', ''], ['json', 'yaml', 'wide', 'name']],
  ['a condition to wait for is completed', ['watch', '--until', 'Co'], ['Copied']],
  ['a value that may be anything is left to the person', ['list', '-n', ''], []],
  ['a project is left to the person', ['status', ''], []],
  ['an unknown command has nothing to complete', ['destroy', '-'], []],
])('%s', (_, words, candidates) => {
  expect(complete(program, words)).toEqual(candidates);
});
