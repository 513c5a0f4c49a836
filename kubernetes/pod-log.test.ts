import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { KubeConfig } from './client-node.ts';
import { ForbiddenError, UnreachableError } from './errors.ts';
import { readPodLog } from './pod-log.ts';

const servers: { close(): void; closeAllConnections(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<KubeConfig> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  const kubeConfig = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  kubeConfig.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    {
      name: 'u',
      token: 't',
    },
  );
  return kubeConfig;
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

const query = { namespace: 'ns', pod: 'copy-0' };
const forever = new AbortController().signal;

test('a log is requested with the credentials of the kubeconfig, and read line by line', async () => {
  const asked: (string | undefined)[] = [];
  const kubeConfig = await serve((request, response) => {
    asked.push(request.url, request.headers.authorization);
    response.write('first\nsec');
    response.end('ond\nlast');
  });
  const lines = readPodLog(kubeConfig, { ...query, container: 'worker', follow: true, tailLines: 5 }, forever);
  expect(await collect(lines)).toEqual(['first', 'second', 'last']);
  expect(asked).toEqual(['/api/v1/namespaces/ns/pods/copy-0/log?container=worker&follow=true&tailLines=5', 'Bearer t']);
});

test('a refused log throws the same error as the other verbs', async () => {
  const kubeConfig = await serve((_, response) => {
    response.writeHead(403).end(JSON.stringify({ kind: 'Status', reason: 'Forbidden', message: 'no rights' }));
  });
  const error = await collect(readPodLog(kubeConfig, query, forever)).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ForbiddenError);
  expect((error as Error).message).toBe('get pods/log ns/copy-0: Forbidden (403): no rights');
});

test('a log stream that breaks midway is an error, not the end of the log', async () => {
  const kubeConfig = await serve((_, response) => {
    response.write('first\n', () => response.destroy());
  });
  const seen: string[] = [];
  const read = async () => {
    for await (const line of readPodLog(kubeConfig, query, forever)) seen.push(line);
  };
  await expect(read()).rejects.toThrow(UnreachableError);
  expect(seen).toEqual(['first']);
});

test('a followed log ends with the reason of the signal', async () => {
  const stop = new AbortController();
  const kubeConfig = await serve((_, response) => {
    response.write('first\n');
  });
  const seen: string[] = [];
  const read = async () => {
    for await (const line of readPodLog(kubeConfig, { ...query, follow: true }, stop.signal)) {
      seen.push(line);
      stop.abort(new Error('asked to stop'));
    }
  };
  await expect(read()).rejects.toThrow('asked to stop');
  expect(seen).toEqual(['first']);
});
