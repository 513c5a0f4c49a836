import { expect, test } from 'vitest';
import type { EdgeConnection } from './connection.ts';
import { describeFailure } from './errors.ts';
import { describeLegacyReplication } from './legacy-replication.ts';

/** The outcome for a failure, as the SDK throws it. */
function ask(name: string, httpStatusCode?: number) {
  const error = Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });
  const connection = {
    async call() {
      throw describeFailure(error, { table: 'identities', where: 'eu-west-2' });
    },
  } as unknown as EdgeConnection;
  return describeLegacyReplication(connection, 'identities', 'eu-west-2', {});
}

test.each([
  ['GlobalTableNotFoundException', 400],
  ['UnknownOperationException', 400],
])('a table is not of the legacy version if DynamoDB answers %s', async (name, status) => {
  expect(await ask(name, status)).toBe('none');
});

test.each([
  ['AccessDeniedException', 400],
  ['ThrottlingException', 400],
  ['InternalServerError', 500],
  ['TimeoutError', undefined],
])('after %s a table may be of the legacy version', async (name, status) => {
  expect(await ask(name, status)).toBe('unknown');
});
