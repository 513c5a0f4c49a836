import { Agent, request } from 'node:http';

/** One write that was sent through the sidecar. */
export interface Write {
  readonly identifier: string;
  readonly beganTime: number;
  /** Undefined when no response came: then the client was promised nothing. */
  status: number | undefined;
  endedTime: number;
}

export interface Traffic extends Disposable {
  readonly writes: readonly Write[];
  /** Creates an identity; never rejects. */
  write(identifier: string, headers?: Readonly<Record<string, string>>): Promise<Write>;
  /** Requests an identity, which creates it; returns the status. */
  read(identifier: string): Promise<number | undefined>;
  /** Creates `count` identities called `<prefix>-…`, several at a time. */
  burst(prefix: string, count: number): Promise<Write[]>;
}

const AT_A_TIME = 16;
/** An answer after this time does not count. */
const TIMEOUT_MS = 60_000;

/** A client of the Core API with keep-alive connections, which records what it sent and received. */
export function createTraffic(port: number): Traffic {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const writes: Write[] = [];

  function send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>>,
    body = '',
  ): Promise<number | undefined> {
    return new Promise((resolve) => {
      const sent = request(
        {
          port,
          host: '127.0.0.1',
          agent,
          timeout: TIMEOUT_MS,
          method,
          path: `/api/v1/${path}`,
          headers: { 'X-Environment-Key': 'client-key', ...headers },
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode));
          response.on('error', () => resolve(undefined));
        },
      );
      sent.on('timeout', () => sent.destroy());
      sent.on('error', () => resolve(undefined));
      sent.end(body);
    });
  }

  async function write(identifier: string, headers: Readonly<Record<string, string>> = {}): Promise<Write> {
    const traits = [{ trait_key: 'plan', trait_value: 'gold' }];
    const one: Write = { identifier, beganTime: Date.now(), status: undefined, endedTime: Number.POSITIVE_INFINITY };
    writes.push(one);
    const body = JSON.stringify({ identifier, traits });
    const about = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    one.status = await send('POST', 'identities/', { ...about, ...headers }, body);
    one.endedTime = Date.now();
    return one;
  }

  return {
    writes,
    write,
    read: (identifier) => send('GET', `identities/?identifier=${encodeURIComponent(identifier)}`, {}),
    async burst(prefix, count) {
      const sent: Write[] = [];
      let next = 0;
      const client = async () => {
        while (next < count) sent.push(await write(`${prefix}-${next++}`));
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, client));
      return sent;
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}
