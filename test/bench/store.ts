/** Stand-ins for DynamoDB, each in its own process so that its CPU is not counted. */
import { spawn } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { environmentsV2, identities } from '../edge/tables.ts';

/** Starts a script that calls {@link serveStore}. */
export async function startStore(script: URL): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const store = spawn(process.execPath, [fileURLToPath(script)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => store.once('exit', resolve));
  const lines = createInterface({ input: store.stdout });
  const endpoint = await new Promise<string>((resolve) => lines.once('line', resolve));
  return {
    endpoint,
    async [Symbol.asyncDispose]() {
      store.kill();
      await ended;
    },
  };
}

/** Answers DynamoDB's operations until the parent process ends; prints its URL. */
export function serveStore(answer: (operation: string | undefined, body: Buffer) => Buffer): void {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const operation = String(request.headers['x-amz-target']).split('.')[1];
      const body = answer(operation, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0', 'content-length': body.length });
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  process.once('SIGTERM', () => process.exit());
  process.stdin.on('end', () => process.exit()).resume();
}

/** The answer to `DescribeTable`: a table like Flagsmith's. The product rejects any other. */
export function describeTable(table: string): object {
  const { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes } = table.includes('environments')
    ? environmentsV2(table)
    : identities(table);
  return {
    Table: { TableName: table, TableStatus: 'ACTIVE', AttributeDefinitions, KeySchema, GlobalSecondaryIndexes },
  };
}
