import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { type ProxySettings, type ProxyUnderTest, startProxy } from './proxy-under-test.ts';
import { connectRaw } from './raw-client.ts';
import { type RawUpstream, type SeenRequest, startRawUpstream, type UpstreamBehaviour } from './raw-upstream.ts';

export interface ApiBehindProxy extends AsyncDisposable {
  readonly api: RawUpstream;
  readonly proxy: ProxyUnderTest;
}

/** An API and a proxy in front of it, both for one test. */
export async function startBoth(
  behaviour: UpstreamBehaviour,
  settings: Omit<ProxySettings, 'upstreamPort'> = {},
): Promise<ApiBehindProxy> {
  const api = await startRawUpstream(behaviour);
  // A connection is not too old for another request because the machine is busy.
  const limits = { idleUpstreamMs: 600_000, ...settings.limits };
  const proxy = await startProxy({ ...settings, limits, upstreamPort: api.port });
  return {
    api,
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

/** A request without a body. */
export function get(target: string, ...lines: string[]): string {
  return [`GET ${target} HTTP/1.1`, 'Host: a', ...lines, '', ''].join('\r\n');
}

/** A request with a body of known length. */
export function post(target: string, body: string, ...lines: string[]): string {
  return [`POST ${target} HTTP/1.1`, 'Host: a', ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n');
}

/** A response with a body of known length. */
export function answer(body: string, status = 200, ...lines: string[]): string {
  return [`HTTP/1.1 ${status} X`, ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n');
}

/** An API that answers `ok`, and HEAD without it. */
export const respond = ({ message, connection }: SeenRequest) =>
  connection.socket.write(message.firstLine.startsWith('HEAD') ? answer('ok').slice(0, -2) : answer('ok'));

/** Sends the request over a separate connection and returns all received bytes. */
export async function ask(port: number, request: string): Promise<string> {
  using client = await connectRaw(port);
  client.send(request);
  return await client.untilOrEnd((received) => received.endsWith('ok'));
}

/** Waits until a quantity stops changing. */
export async function settled(quantity: () => number): Promise<void> {
  let last = Number.NaN;
  let same = 0;
  await waitFor(
    () => {
      const now = quantity();
      same = now === last ? same + 1 : 0;
      last = now;
      return same >= 10 || undefined;
    },
    { for: 'the flow to stop' },
  );
}
