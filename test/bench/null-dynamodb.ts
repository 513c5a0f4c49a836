/**
 * A DynamoDB that accepts everything and keeps nothing, in its own process, so that a benchmark measures the client
 * alone: batches of statements are answered as done, tables are described like Flagsmith's. Prints its URL.
 */
import { describeTable, serveStore } from './store.ts';

/** AWS's charge for an identity of up to a kibibyte: itself and two indexes. */
const UNITS_PER_STATEMENT = 3;

/** Answers by number of statements, built once. */
const batchAnswers = new Map<number, Buffer>();

function answerBatch(statements: number): Buffer {
  let answer = batchAnswers.get(statements);
  if (answer === undefined) {
    const Responses = Array.from({ length: statements }, () => ({ TableName: 'identities' }));
    const ConsumedCapacity = Responses.map(() => ({ TableName: 'identities', CapacityUnits: UNITS_PER_STATEMENT }));
    answer = Buffer.from(JSON.stringify({ Responses, ConsumedCapacity }));
    batchAnswers.set(statements, answer);
  }
  return answer;
}

/** Counting is cheaper than parsing, and the target must not take the CPU that it measures. */
function countStatements(body: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(STATEMENT); at >= 0; at = body.indexOf(STATEMENT, at + STATEMENT.length)) count++;
  return count;
}
const STATEMENT = Buffer.from('"Statement":');

function answer(operation: string | undefined, body: Buffer): Buffer {
  switch (operation) {
    case 'BatchExecuteStatement':
      return answerBatch(countStatements(body));
    case 'DescribeTable':
      return Buffer.from(JSON.stringify(describeTable(JSON.parse(body.toString()).TableName)));
    case 'BatchGetItem':
      return Buffer.from('{"Responses":{}}');
    default:
      return Buffer.from('{}');
  }
}

serveStore(answer);
