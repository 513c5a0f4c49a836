import { EventSourceParserStream } from 'eventsource-parser/stream';
import { type Api, ApiProblemError } from './api.ts';

interface StreamEvent {
  readonly name: string;
  readonly data: unknown;
}

/** What an event stream reports to its page. */
export interface Listener {
  event(event: StreamEvent): void;
  /** Whether the stream is connected; while it is not, the displayed data may be stale. */
  live(isLive: boolean): void;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** Longer than the server's interval between heartbeats: a connection that is silent for this long is dead. */
const SILENCE_MS = 40_000;

/**
 * Follows server-sent events until the signal is aborted, and reconnects whenever the stream ends. EventSource cannot
 * send a bearer token, so the stream is read by fetch. Ends permanently if the server reports that it would reject the
 * caller again.
 */
export async function followEvents(api: Api, path: string, listener: Listener, signal: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  const opened = () => {
    pauseMs = FIRST_PAUSE_MS;
    listener.live(true);
  };
  while (!signal.aborted) {
    const end = await readOnce(api, path, listener, signal, opened).catch((error: unknown) =>
      error instanceof ApiProblemError && isFinal(error.problem.status) ? 'forbidden' : undefined,
    );
    listener.live(false);
    if (end === 'invalid_token' || end === 'forbidden') return;
    if (!signal.aborted) await sleep(pauseMs, signal);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
  }
}

const isFinal = (status: number) => status === 401 || status === 403 || status === 404;

/** @returns the code with which the server ended the stream, if it sent one */
async function readOnce(
  api: Api,
  path: string,
  listener: Listener,
  signal: AbortSignal,
  opened: () => void,
): Promise<string | undefined> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await api.open(path, AbortSignal.any([signal, silence.signal]));
    const heard = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        controller.enqueue(chunk);
      },
    });
    const events = response
      .body!.pipeThrough(heard)
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .pipeThrough(new EventSourceParserStream());
    opened();
    for await (const { event, data } of events) {
      const parsed: unknown = JSON.parse(data);
      if (event === 'end') return (parsed as { code?: string }).code;
      listener.event({ name: event ?? 'message', data: parsed });
    }
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const stop = () => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
