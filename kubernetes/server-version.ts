import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { request } from 'undici';
import { z } from 'zod';
import type { KubeConfig } from './client-node.ts';
import { createConnection } from './connection.ts';
import { ApiError, responseError, UnreachableError } from './errors.ts';

export interface ServerVersion {
  /** For example `v1.34.1`. */
  readonly version: string;
  /** The server's clock at the response, milliseconds since the epoch, to the second; undefined if it is not sent. */
  readonly time: number | undefined;
}

const schema = z.object({ gitVersion: z.string().max(100) });

/**
 * The API server's version, which every authenticated user may read.
 *
 * @throws ApiError; the signal's reason on abort
 */
export async function readServerVersion(kubeConfig: KubeConfig, signal: AbortSignal): Promise<ServerVersion> {
  const connection = createConnection(kubeConfig);
  try {
    const { server, headers, dispatcher } = await connection.access();
    const answer = await request(`${server}/version`, { headers, dispatcher, signal });
    const text = await answer.body.text();
    if (answer.statusCode >= 400) throw responseError('get /version', answer.statusCode, undefined);
    const time = Date.parse(String(answer.headers['date']));
    return { version: schema.parse(JSON.parse(text)).gitVersion, time: Number.isNaN(time) ? undefined : time };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApiError) throw error;
    const facts = { status: 0, reason: 'Unreachable', disposition: 'transient' } as const;
    throw new UnreachableError(`get /version: ${errorMessage(error)}`, facts, { cause: error });
  } finally {
    await connection.close();
  }
}
