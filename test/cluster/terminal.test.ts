import { describe, expect, test } from 'vitest';
import { canOpenTerminal, openTerminal } from './terminal.ts';

describe.runIf(canOpenTerminal)('the test terminal', () => {
  test('returns what a command left on the screen, and its exit code', async () => {
    await using terminal = await openTerminal({ PATH: '/usr/bin:/bin', GREETING: 'hello' });
    expect(await terminal.run('echo $GREETING; false')).toEqual({ screen: expect.stringMatching(/^hello\n/), code: 1 });
    expect(await terminal.run('echo $PATH; test -t 0')).toEqual({
      screen: expect.stringMatching(/^\/usr\/bin:\/bin\n/),
      code: 0,
    });
  });

  test('accepts typed input while a program asks for it', async () => {
    await using terminal = await openTerminal({ PATH: '/usr/bin:/bin' });
    await terminal.type('clear; printf "%s? " really; read answer; echo "said $answer"');
    await terminal.sees(/really\?/);
    await terminal.type('yes');
    await terminal.sees(/^said yes$/m);
  });

  test('shows the screen when the expected text is not on it', async () => {
    await using terminal = await openTerminal({ PATH: '/usr/bin:/bin' });
    await terminal.run('echo something else');
    await expect(terminal.sees(/never/, 300)).rejects.toThrow(/it shows:\nsomething else/);
  });
});
