import { responseError, UnreachableError } from './errors.ts';
import type { KubernetesObject } from './objects.ts';

/** A bookmark's object contains only kind and resourceVersion. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubernetesObject;
}

interface Frame {
  type: WatchEvent['type'] | 'ERROR';
  object: KubernetesObject & { code?: number };
}

const TYPES = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

/**
 * Reads a watch's frames: one JSON object a line.
 *
 * @param call names the watch in errors
 * @throws ApiError described by an ERROR frame (a GoneError if the version is too old); UnreachableError for a line
 *   that is not a frame: everything after it cannot be trusted
 */
export async function* readWatch(chunks: AsyncIterable<Uint8Array>, call: string): AsyncGenerator<WatchEvent, void> {
  for await (const line of readLines(chunks)) {
    const frame = parseFrame(line);
    if (frame === undefined) {
      throw new UnreachableError(`${call}: a line of the watch is not a frame`, {
        status: 0,
        reason: 'MalformedFrame',
        disposition: 'transient',
      });
    }
    if (frame.type === 'ERROR') throw responseError(call, frame.object.code ?? 0, frame.object);
    yield { type: frame.type, object: frame.object };
  }
}

async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function parseFrame(line: string): Frame | undefined {
  try {
    const frame = JSON.parse(line) as Partial<Frame> | null;
    const complete = TYPES.has(frame?.type ?? '') && typeof frame?.object === 'object' && frame.object !== null;
    return complete ? (frame as Frame) : undefined;
  } catch {
    return undefined;
  }
}
