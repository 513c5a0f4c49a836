import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { request } from 'undici';
import type { KubeConfig } from './client-node.ts';
import { createConnection } from './connection.ts';
import { ApiError, responseError, UnreachableError } from './errors.ts';

export interface PodLogQuery {
  readonly namespace: string;
  readonly pod: string;
  readonly container?: string | undefined;
  /** Continues until the container ends. */
  readonly follow?: boolean | undefined;
  /** Only this many last lines. */
  readonly tailLines?: number | undefined;
  readonly sinceSeconds?: number | undefined;
}

/**
 * The lines of a container's log, from the kubelet: text, whereas the client's verbs return JSON.
 *
 * @throws ApiError, also if the stream breaks midway; the signal's reason on abort
 */
export async function* readPodLog(kubeConfig: KubeConfig, query: PodLogQuery, signal: AbortSignal) {
  const connection = createConnection(kubeConfig);
  const call = `get pods/log ${query.namespace}/${query.pod}`;
  try {
    const { server, headers, dispatcher } = await connection.access();
    const url = new URL(`${server}/api/v1/namespaces/${query.namespace}/pods/${query.pod}/log`);
    const { container, follow, tailLines, sinceSeconds } = query;
    for (const [name, value] of Object.entries({ container, follow, tailLines, sinceSeconds })) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const { statusCode, body } = await request(url, { headers, dispatcher, signal });
    if (statusCode >= 400) throw responseError(call, statusCode, parse(await body.text()));
    yield* splitLines(body);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApiError) throw error;
    const facts = { status: 0, reason: 'Unreachable', disposition: 'transient' } as const;
    throw new UnreachableError(`${call}: ${errorMessage(error)}`, facts, { cause: error });
  } finally {
    await connection.close();
  }
}

/** Not with readline, which ends silently when its input breaks. */
async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
