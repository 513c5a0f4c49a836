import { expect, test } from 'vitest';
import { createScreen } from './screen.ts';

/** The printed lines, and a clock that the test advances. */
function createStage({ isTTY = false, columns = 80 } = {}) {
  const written: string[] = [];
  let now = 0;
  const output = { isTTY, columns, write: (text: string) => written.push(text) > 0 };
  const screen = createScreen(output, { monotonic: () => now });
  return {
    screen,
    lines: () => written.join('').split('\n').filter(Boolean),
    pass: (seconds: number) => {
      now += seconds * 1000;
    },
  };
}

test('a progress text is printed at once, and again only when it has changed', () => {
  const { screen, lines, pass } = createStage();
  screen.progress(0, 'waiting for the operator');
  pass(2);
  screen.progress(0, 'waiting for the operator');
  pass(4);
  screen.progress(0, 'Planning: counting');
  expect(lines()).toEqual(['  waiting for the operator', '  Planning: counting']);
});

test('a constantly changing progress text is printed every five seconds', () => {
  const { screen, lines, pass } = createStage();
  for (let identities = 0; identities < 12; identities++) {
    screen.progress(0, `Copying: ${identities} identities`);
    pass(1);
  }
  expect(lines()).toEqual(['  Copying: 0 identities', '  Copying: 5 identities', '  Copying: 10 identities']);
});

test('an unchanged step is reported as still running, so that none is silent for 15 seconds', () => {
  const { screen, lines, pass } = createStage();
  for (let second = 0; second < 25; second++) {
    screen.progress(0, 'Settling: letting old pages expire');
    pass(1);
  }
  const text = '  Settling: letting old pages expire';
  expect(lines()).toEqual([text, `${text} (for 10 s)`, `${text} (for 20 s)`]);
});

test('a step ends with one line, after the progress printed before it', async () => {
  const { screen, lines, pass } = createStage();
  await screen.step('programs of the cluster', async ({ say }) => {
    say('0 of 2 built');
    pass(6);
    say('1 of 2 built');
    pass(2);
  });
  expect(lines()).toEqual(['  … programs of the cluster: 1 of 2 built', '  ✓ programs of the cluster (8.0 s)']);
});

test('a failed step is marked, and its error passed on', async () => {
  const { screen, lines } = createStage();
  const failing = screen.step('Postgres', () => Promise.reject(new Error('no space left')));
  await expect(failing).rejects.toThrow('no space left');
  expect(lines()).toEqual(['  ✗ Postgres']);
});

test('a progress line on a terminal never wraps', () => {
  const { screen, lines } = createStage({ isTTY: true, columns: 60 });
  screen.progress(0.5, 'Copying: a message that is much longer than what is left of the line beside the bar');
  const [line = ''] = lines();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal's own
  expect(line.replaceAll(/\r|\x1b\[[\d;]*[mK]/g, '')).toHaveLength(59);
});
