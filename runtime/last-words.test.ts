import { describe, expect, test } from 'vitest';
import { describeEnd } from './last-words.ts';

const line = (fields: Record<string, unknown>) => JSON.stringify({ level: 30, time: 1, projectId: 42, ...fields });

describe('the end of a container', () => {
  test.for<[string, Parameters<typeof describeEnd>[0], string]>([
    [
      'by its own termination message',
      { message: 'Core refuses the password', exitCode: 1, reason: 'Error' },
      'Core refuses the password',
    ],
    [
      'by the last line of its log, if it was killed',
      {
        message: `${line({ msg: 'resumed' })}\n${line({ msg: 'range is done', known: 7 })}`,
        exitCode: 137,
        reason: 'Error',
      },
      'Error, exit code 137 (SIGKILL); it last said: range is done',
    ],
    [
      'as out of memory',
      { message: line({ msg: 'working on a range' }), exitCode: 137, reason: 'OOMKilled' },
      'OOMKilled, exit code 137 (SIGKILL); it last said: working on a range',
    ],
    [
      'by the error in its log, with its cause, without later lines',
      {
        message: [
          line({
            level: 50,
            msg: 'failed',
            err: { type: 'CoreTimeout', message: 'no answer within 30 s', stack: 'at x' },
          }),
          line({ msg: 'closed' }),
        ].join('\n'),
        exitCode: 75,
      },
      'Error, exit code 75; it last said: failed: no answer within 30 s',
    ],
    [
      'by the exit code alone if its last line was cut off',
      { message: '"identifier":"user@example.com","msg":"skipped an iden', exitCode: 137, reason: 'Error' },
      'Error, exit code 137 (SIGKILL); see its log',
    ],
    [
      'by the exit code alone if its log is empty',
      { exitCode: 143, reason: 'Error' },
      'Error, exit code 143 (SIGTERM); see its log',
    ],
    [
      "by Node's own message after the lines of a log",
      { message: `${line({ msg: 'resumed' })}\nFATAL ERROR: Reached heap limit`, exitCode: 134 },
      'Error, exit code 134 (SIGABRT); it last said: FATAL ERROR: Reached heap limit',
    ],
    [
      "by the JSON lines of Flagsmith's logger",
      {
        message: JSON.stringify({
          levelname: 'ERROR',
          message: 'cannot connect',
          exc_info: 'Traceback\nOperationalError: timeout',
        }),
        exitCode: 1,
      },
      'Error, exit code 1; it last said: cannot connect: OperationalError: timeout',
    ],
  ])('the end of a container is described %s', ([, end, expected]) => {
    expect(describeEnd(end)).toBe(expected);
  });

  test('the end of a container is described without customers’ identifiers and keys', () => {
    const fields = { identifier: 'user@example.com', environment_api_key: 'client-1', key: 'ser.1' };
    const logs = [
      line({ msg: 'skipped an identity', ...fields }),
      JSON.stringify({ event: 'environment-document-compressed', ...fields }),
      'environment-document-compressed environment_api_key=client-1 key=ser.1 identifier="user@example.com"',
    ];
    for (const message of logs) {
      expect(describeEnd({ message, exitCode: 137 })).not.toMatch(/user@example|client-1|ser\.1/);
    }
  });
});
