import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Answer, Body } from './wire.ts';

/** A client's request to a region. */
export interface Request {
  /** `DynamoDB_20120810.PutItem`. */
  readonly target: string;
  readonly operation: string;
  readonly text: string;
  readonly body: Body;
  /** Aborted when the client hangs up. Work that has not begun by then can be skipped. */
  isAbandoned(): boolean;
  /** It came by a way of its own (way.ts). */
  readonly isByWay?: boolean;
}

/** The address to which clients of one region send their requests. */
export class Endpoint {
  readonly #server: Server;
  #dark = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** An exception from `handle` breaks the connection, so that no client mistakes it for DynamoDB's answer. */
  static async start(
    handle: (request: Request) => Promise<Answer>,
    onFailure: (error: unknown) => void,
  ): Promise<Endpoint> {
    const server = createServer();
    const endpoint = new Endpoint(server);
    server.on('request', (incoming, response) => {
      const respond = async () => {
        const body = await text(incoming);
        const target = String(incoming.headers['x-amz-target']);
        const operation = target.split('.')[1] ?? '';
        const isAbandoned = () => incoming.socket.destroyed;
        const answer = await handle({ target, operation, text: body, body: JSON.parse(body), isAbandoned });
        if (endpoint.#dark || incoming.socket.destroyed) return;
        response.writeHead(answer.status, {
          'content-type': 'application/x-amz-json-1.0',
          'content-length': Buffer.byteLength(answer.text),
        });
        response.end(answer.text);
      };
      if (endpoint.#dark) incoming.socket.resetAndDestroy();
      else {
        respond().catch((error: unknown) => {
          // A client that gives up while still sending is not a failure.
          if (incoming.complete) onFailure(error);
          incoming.socket.destroy();
        });
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks connections, including those of requests under way, whose writes may still be made. */
  goDark(): void {
    this.#dark = true;
    this.#server.closeAllConnections();
  }

  comeBack(): void {
    this.#dark = false;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}
