import type { BatchStatementResponse } from '@aws-sdk/client-dynamodb';
import { expect, test } from 'vitest';
import type { EdgeConnection } from './connection.ts';
import type { CostAccount } from './cost.ts';
import { createInserter } from './insert.ts';

const ADA = { item: { composite_key: { S: 'key_ada' } }, bytes: 10 };

/** Inserts one document on a server that gives these answers to the statement, one after the other. */
async function insert(...answers: readonly (readonly BatchStatementResponse[])[]) {
  let asked = 0;
  const connection = {
    budget: { throttled() {} },
    place: (table: string) => ({ table, where: 'home' }),
    call: async () => ({ Responses: answers[asked++] }),
    async repeat(work: () => Promise<void>) {
      for (let tries = 1; tries < answers.length; tries++) await work().catch(() => {});
      await work();
    },
  } as unknown as EdgeConnection;
  const account = { take: async () => 1, settle() {}, refund() {} } as unknown as CostAccount;
  let lost = 0;
  const outcomes = await createInserter(connection, account, 'identities')([ADA], { lost: () => void lost++ });
  return { outcomes, lost };
}

const failing = (Code: string) => [{ Error: { Code } }] as BatchStatementResponse[];

test('a statement that failed on the side of the server, or has no answer, may still be carried out later', async () => {
  expect(await insert(failing('InternalServerError'), [{}])).toEqual({ outcomes: ['inserted'], lost: 1 });
  expect(await insert([], [{}])).toEqual({ outcomes: ['inserted'], lost: 1 });
});

test('a statement that was throttled, or refused because of another region, was not carried out', async () => {
  expect(await insert(failing('ThrottlingError'), [{}])).toEqual({ outcomes: ['inserted'], lost: 0 });
  expect(await insert(failing('ReplicatedWriteConflict'), [{}])).toEqual({ outcomes: ['inserted'], lost: 0 });
});
