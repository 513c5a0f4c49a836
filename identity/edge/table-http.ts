import http from 'node:http';
import https from 'node:https';
import { DeadlinePassed, ResponseTooLarge } from './table-errors.ts';

/** A time after which a request must not be sent any more. */
export interface Deadline {
  /** Milliseconds left; zero or less when it has passed. */
  left(): number;
}

/** What our calls hand through the SDK to the handler. */
export interface HandlerOptions {
  readonly abortSignal?: AbortSignal;
  readonly deadline?: Deadline | undefined;
  /** Told the bytes that an answer announces, before they are read; false refuses it with `ResponseTooLarge`. */
  admit?(bytes: number): boolean;
}

/** The SDK's request as far as DynamoDB uses it: always a POST to `/`. */
export interface OutgoingRequest {
  readonly protocol?: string;
  readonly hostname?: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array;
}

export interface IncomingResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

/**
 * The SDK's HTTP client, made for many small requests: keep-alive sockets, the whole answer in one buffer, one timer.
 * It costs about a third of the SDK's own.
 *
 * A request is written only once its socket is connected, and the deadline is looked at right before: a process that
 * was frozen while it waited for a connection must not send what has become too old.
 *
 * @param timeoutMilliseconds longest time that one request may take
 */
export function createHttpHandler({
  timeoutMilliseconds,
  maxSockets,
}: {
  timeoutMilliseconds: number;
  maxSockets: number;
}) {
  const agentOptions = { keepAlive: true, maxSockets, scheduling: 'lifo' } as const;
  const agents = { 'http:': new http.Agent(agentOptions), 'https:': new https.Agent(agentOptions) };

  return {
    metadata: { handlerProtocol: 'http/1.1' },

    handle(request: OutgoingRequest, options: HandlerOptions = {}): Promise<{ response: IncomingResponse }> {
      const { abortSignal, deadline, admit } = options;
      const tls = request.protocol === 'https:';
      return new Promise((resolve, reject) => {
        if (abortSignal?.aborted) return reject(abortSignal.reason);
        const { hostname = '', port, path, method, headers } = request;
        const outgoing = (tls ? https : http).request({
          agent: agents[tls ? 'https:' : 'http:'],
          host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
          port,
          path,
          method,
          headers,
        });

        const milliseconds = Math.min(timeoutMilliseconds, deadline?.left() ?? Number.POSITIVE_INFINITY);
        const timer = setTimeout(() => outgoing.destroy(timeout(milliseconds)), Math.max(milliseconds, 0));
        const onAbort = () => outgoing.destroy(abortSignal?.reason);
        abortSignal?.addEventListener('abort', onAbort, { once: true });
        outgoing.on('close', () => {
          clearTimeout(timer);
          abortSignal?.removeEventListener('abort', onAbort);
          reject(Object.assign(new Error('Connection closed without an answer'), { code: 'ECONNRESET' }));
        });
        outgoing.on('error', reject);
        outgoing.on('response', (incoming) => {
          const bytes = Number(incoming.headers['content-length'] ?? 0);
          if (admit === undefined || admit(bytes)) collect(incoming, resolve, reject);
          else outgoing.destroy(new ResponseTooLarge(`The answer has ${bytes} bytes`));
        });

        const send = () => {
          if (deadline !== undefined && deadline.left() <= 0) outgoing.destroy(new DeadlinePassed('Too late to send'));
          else outgoing.end(request.body);
        };
        outgoing.on('socket', (socket) => {
          if (socket.connecting) socket.once(tls ? 'secureConnect' : 'connect', send);
          else send();
        });
      });
    },

    destroy() {
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
}

function collect(
  incoming: http.IncomingMessage,
  resolve: (output: { response: IncomingResponse }) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  // An answer that breaks off is an error of the message, not of the request.
  incoming.on('error', reject);
  incoming.on('end', () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const headers = incoming.headers as Record<string, string>;
    resolve({ response: { statusCode: incoming.statusCode ?? 0, headers, body } });
  });
}

function timeout(milliseconds: number): Error {
  return Object.assign(new Error(`No answer within ${milliseconds} ms`), { code: 'ETIMEDOUT' });
}
