import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request to DynamoDB that passed through. */
export interface DynamodbCall {
  /** `BatchExecuteStatement`, `PutItem`, … */
  readonly operation: string;
  readonly body: { readonly Statements?: readonly unknown[]; readonly [field: string]: unknown };
}

/** The fate of a request instead of forwarding; `throttleStatements` and `delay` still forward the rest. */
export type Fault =
  /** The whole call is throttled. */
  | { readonly kind: 'throttle' }
  /** These statements of a batch are throttled, by index; the others are executed. */
  | { readonly kind: 'throttleStatements'; readonly indexes: readonly number[] }
  /** Executed; the answer reports this consumption in units, as AWS does and DynamoDB Local does not. */
  | { readonly kind: 'reportCapacity'; readonly units: number }
  /** Answered without being executed. */
  | { readonly kind: 'answer'; readonly status: number; readonly type: string; readonly message?: string }
  /** A read of several items is answered without any of them, as by an exhausted partition. */
  | { readonly kind: 'leaveKeys' }
  /** The connection breaks before the request is executed. */
  | { readonly kind: 'reset' }
  /** The request is executed, but its answer is lost. */
  | { readonly kind: 'loseAnswer' }
  /** Executed after a while, or never if the client gives up first. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** Executed once this resolves, as if delayed in the network, even if no client waits for it any more. */
  | { readonly kind: 'holdUp'; readonly until: Promise<unknown> }
  /** Never answered. */
  | { readonly kind: 'hang' };

export interface DynamodbProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Every request that arrived, in order. */
  readonly calls: readonly DynamodbCall[];
  /** Writing statements and requests, executed or not. */
  writes(): number;
  /** Decides the fate of every following request; `undefined` lets all pass. */
  inject(fault: ((call: DynamodbCall) => Fault | undefined) | undefined): void;
  stop(): Promise<void>;
}

const CONTENT_TYPE = 'application/x-amz-json-1.0';
const THROTTLED = { Code: 'ProvisionedThroughputExceeded', Message: 'Injected: too fast' };
const WRITES = /^(BatchExecuteStatement|BatchWriteItem|PutItem|UpdateItem|DeleteItem)$/;

/** A proxy in front of a DynamoDB endpoint that can throttle, fail, delay and lose requests, and records them. */
export async function startDynamodbProxy(
  endpoint: string,
  listen: { host: string; port: number } = { host: '127.0.0.1', port: 0 },
): Promise<DynamodbProxy> {
  const calls: DynamodbCall[] = [];
  const agent = new http.Agent({ keepAlive: true });
  const timers = new Set<NodeJS.Timeout>();
  let decide: ((call: DynamodbCall) => Fault | undefined) | undefined;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readAll(request);
    const operation = String(request.headers['x-amz-target']).split('.')[1] ?? '';
    const call: DynamodbCall = { operation, body: JSON.parse(text || '{}') };
    calls.push(call);
    const fault = decide?.(call);
    switch (fault?.kind) {
      case undefined:
        return answer(response, await forward(request, text));
      case 'throttle':
        return refuse(response, 400, 'ProvisionedThroughputExceededException', 'Injected: too fast');
      case 'answer':
        return refuse(response, fault.status, fault.type, fault.message ?? 'Injected');
      case 'leaveKeys':
        return answer(response, leaveKeys(call));
      case 'throttleStatements':
        return answer(response, await executeSome(request, call, new Set(fault.indexes)));
      case 'reportCapacity':
        return answer(response, reportCapacity(await forward(request, text), fault.units));
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'loseAnswer':
        await forward(request, text);
        request.socket.resetAndDestroy();
        return;
      case 'delay':
        await pause(fault.delayMs);
        if (!request.socket.destroyed) answer(response, await forward(request, text));
        return;
      case 'holdUp': {
        await fault.until;
        const late = await forward(request, text);
        if (!request.socket.destroyed) answer(response, late);
        return;
      }
      case 'hang':
        return;
    }
  }

  function forward(request: IncomingMessage, body: string): Promise<Answer> {
    const { 'content-length': _, connection: __, ...headers } = request.headers;
    return new Promise((resolve, reject) => {
      const outgoing = http.request(endpoint, { method: 'POST', path: '/', headers, agent }, (incoming) => {
        readAll(incoming).then((text) => resolve({ status: incoming.statusCode ?? 502, text }), reject);
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  async function executeSome(
    request: IncomingMessage,
    { body }: DynamodbCall,
    throttled: Set<number>,
  ): Promise<Answer> {
    const statements = body.Statements ?? [];
    const passed = statements.filter((_, index) => !throttled.has(index));
    const { status, text } =
      passed.length === 0
        ? { status: 200, text: '{"Responses":[]}' }
        : await forward(request, JSON.stringify({ ...body, Statements: passed }));
    const output = JSON.parse(text);
    const responses = statements.map((_, index) =>
      throttled.has(index) ? { Error: THROTTLED } : output.Responses.shift(),
    );
    return { status, text: JSON.stringify({ ...output, Responses: responses }) };
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        resolve();
      }, delayMs);
      timers.add(timer);
    });
  }

  const server = http.createServer((request, response) => {
    handle(request, response).catch(() => request.socket.resetAndDestroy());
  });
  server.listen(listen.port, listen.host);
  await once(server, 'listening');

  async function stop(): Promise<void> {
    for (const timer of timers) clearTimeout(timer);
    agent.destroy();
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }

  return {
    endpoint: `http://${listen.host}:${(server.address() as AddressInfo).port}`,
    calls,
    writes: () => calls.reduce((total, call) => total + countWrites(call), 0),
    inject(fault) {
      decide = fault;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

interface Answer {
  status: number;
  text: string;
}

function reportCapacity({ status, text }: Answer, CapacityUnits: number): Answer {
  return { status, text: JSON.stringify({ ...JSON.parse(text), ConsumedCapacity: [{ CapacityUnits }] }) };
}

function leaveKeys({ body }: DynamodbCall): Answer {
  return { status: 200, text: JSON.stringify({ Responses: {}, UnprocessedKeys: body['RequestItems'] }) };
}

function countWrites({ operation, body }: DynamodbCall): number {
  if (!WRITES.test(operation)) return 0;
  if (operation === 'BatchExecuteStatement') return body.Statements?.length ?? 0;
  if (operation !== 'BatchWriteItem') return 1;
  const tables = Object.values(body['RequestItems'] as Record<string, unknown[]>);
  return tables.reduce((total, requests) => total + requests.length, 0);
}

function answer(response: ServerResponse, { status, text }: Answer): void {
  response.writeHead(status, { 'content-type': CONTENT_TYPE, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  answer(response, { status, text: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message }) });
}

async function readAll(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
