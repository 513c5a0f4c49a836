/**
 * A DynamoDB that keeps what is inserted and returns it by key and by environment, in its own process, so that a
 * benchmark measures the client alone. Prints its URL.
 */
import { describeTable, serveStore } from './store.ts';

type Item = Record<string, { S?: string }>;

/** Documents as they appear in the text of answers. */
const documents = new Map<string, string>();
/** Keys and identifiers by environment key, sorted by identifier on first use. */
const environments = new Map<string, { key: string; identifier: string }[]>();
let isSorted = false;

function insert({ Statements }: { Statements: { Statement: string; Parameters: Item[string][] }[] }): object {
  const Responses = Statements.map(({ Statement, Parameters }) => {
    const names = [...Statement.matchAll(/'([^']+)':/g)].map(([, name]) => name!);
    const item: Item = Object.fromEntries(names.map((name, index) => [name, Parameters[index]!]));
    const key = item['composite_key']?.S ?? '';
    const environment = item['environment_api_key']?.S ?? '';
    documents.set(key, JSON.stringify(item));
    const keys = environments.get(environment) ?? [];
    keys.push({ key, identifier: item['identifier']?.S ?? '' });
    environments.set(environment, keys);
    isSorted = false;
    return { TableName: 'identities' };
  });
  return { Responses };
}

/** Composed from text, because parsing and writing documents is the client's work, not the target's. */
function get({ RequestItems }: { RequestItems: Record<string, { Keys: { composite_key: { S: string } }[] }> }): string {
  const [table, { Keys }] = Object.entries(RequestItems)[0]!;
  const found = Keys.flatMap(({ composite_key: { S } }) => documents.get(S) ?? []);
  return `{"Responses":{${JSON.stringify(table)}:[${found.join()}]}}`;
}

function query(request: { Limit: number; ExpressionAttributeValues: Item; ExclusiveStartKey?: Item }): object {
  if (!isSorted) {
    for (const keys of environments.values()) {
      keys.sort((a, b) => Buffer.compare(Buffer.from(a.identifier), Buffer.from(b.identifier)));
    }
    isSorted = true;
  }
  const environment = request.ExpressionAttributeValues[':key']?.S ?? '';
  const keys = environments.get(environment) ?? [];
  const from = request.ExclusiveStartKey?.['composite_key']?.S;
  const start = from === undefined ? 0 : keys.findIndex(({ key }) => key === from) + 1;
  const page = keys.slice(start, start + request.Limit);
  const Items = page.map(({ key, identifier }) => ({ composite_key: { S: key }, identifier: { S: identifier } }));
  const last = Items.at(-1);
  const isEnd = start + page.length >= keys.length;
  return isEnd || last === undefined
    ? { Items }
    : { Items, LastEvaluatedKey: { ...last, environment_api_key: { S: environment } } };
}

function answer(operation: string | undefined, body: Buffer): string {
  const request = JSON.parse(body.toString());
  switch (operation) {
    case 'BatchExecuteStatement':
      return JSON.stringify(insert(request));
    case 'BatchGetItem':
      return get(request);
    case 'Query':
      return JSON.stringify(query(request));
    case 'DescribeTable':
      return JSON.stringify(describeTable(request.TableName));
    default:
      return '{}';
  }
}

serveStore((operation, body) => Buffer.from(answer(operation, body)));
