/** The part of the kubelet's API that `kubectl logs` uses. */

import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { sleepUnless } from '../signals.ts';

export interface LogsServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface LogSource {
  /** Path of the log of the container's current or last run, or of the run before that; undefined when there is none. */
  logFile(namespace: string, pod: string, container: string, previous: boolean): string | undefined;
  /** Whether more may come. */
  isRunning(namespace: string, pod: string, container: string): boolean;
}

const SUPPORTED = ['follow', 'tailLines', 'previous', 'insecureSkipTLSVerifyBackend', 'stream'];
const POLL_MS = 100;

/** Serves `/containerLogs/<namespace>/<pod>/<container>` on the loopback interface. */
export async function serveLogs(source: LogSource, tls: { key: string; certificate: string }): Promise<LogsServer> {
  const closing = new AbortController();
  const options = { key: readFileSync(tls.key), cert: readFileSync(tls.certificate) };
  const server = createServer(options, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://node');
    const disconnected = new AbortController();
    response.on('close', () => disconnected.abort());
    const signal = AbortSignal.any([closing.signal, disconnected.signal]);
    answer(source, url, response, signal).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      closing.abort();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(source: LogSource, url: URL, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const [, kind, namespace = '', pod = '', container = ''] = url.pathname.split('/');
  const unsupported = [...url.searchParams.keys()].filter((name) => !SUPPORTED.includes(name));
  if (kind !== 'containerLogs') return refuse(response, 404, 'The embedded node serves logs only');
  if (unsupported.length > 0) {
    return refuse(response, 400, `The embedded node does not support ${unsupported.join(', ')} for logs`);
  }
  const file = source.logFile(namespace, pod, container, url.searchParams.get('previous') === 'true');
  if (file === undefined) return refuse(response, 404, `There is no such log of ${namespace}/${pod}/${container}`);
  response.writeHead(200, { 'content-type': 'text/plain' });
  const tailLines = url.searchParams.get('tailLines');
  const text = readFileSync(file);
  response.write(tailLines === null ? text : lastLines(text.toString('utf8'), Number(tailLines)));
  if (url.searchParams.get('follow') === 'true') {
    await follow(file, text.length, response, () => source.isRunning(namespace, pod, container), signal);
  }
  response.end();
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
}

function lastLines(text: string, count: number): string {
  const lines = text.split('\n');
  return lines.slice(-count - (text.endsWith('\n') ? 1 : 0)).join('\n');
}

async function follow(
  path: string,
  from: number,
  response: ServerResponse,
  isRunning: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(path, 'r');
  try {
    for (let position = from; !signal.aborted; ) {
      // Checked before reading, so as not to miss the last output.
      const more = isRunning();
      const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, position);
      position += bytesRead;
      if (bytesRead > 0) response.write(buffer.subarray(0, bytesRead));
      else if (!more) return;
      else await sleepUnless(signal, POLL_MS);
    }
  } finally {
    await file.close();
  }
}
