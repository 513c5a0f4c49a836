import { parseObjectKey } from '@edge-migration/kubernetes/objects.ts';
import type { ObjectChange } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { EVENT_STREAM_HEARTBEAT_MS, EVENT_STREAM_PAUSE_MS } from '@edge-migration/runtime/policies.ts';
import { ProblemError } from './problem.ts';
import type { ProjectCache } from './projects.ts';
import type { ProjectMigration } from './summary.ts';

export interface Subscription {
  /** The caller's key, for the limit on streams. */
  readonly caller: string;
  /** Whether the stream covers this object, `namespace/name`. */
  readonly concerns: (key: string) => boolean;
  /** Sent first; undefined: the client is notified that the stream has started, and then lists. */
  readonly first?: string | undefined;
  /** Whether the caller may see it now. Throws if that cannot be determined. */
  readonly maySee: (reference: { readonly namespace: string; readonly name: string }) => Promise<boolean>;
  /** The data that is sent about a project. */
  readonly tell: (project: ProjectMigration) => unknown;
  /** Throws a ProblemError when the stream was opened for a different caller. */
  readonly reauthenticate: () => Promise<unknown>;
  /** Disconnects a client that does not read. */
  readonly cut: () => void;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** Live progress as server-sent events: limited in number, and in the memory that a slow client can use. */
export interface EventStreams {
  /** @throws ProblemError (too_many_requests) */
  open(subscription: Subscription): ReadableStream<Uint8Array>;
  readonly size: number;
}

export interface EventStreamsSettings {
  readonly cache: ProjectCache;
  readonly clock: Clock;
  readonly logger: Logger;
  /** All streams end when it is aborted. */
  readonly signal: AbortSignal;
}

const MOST_STREAMS = 256;
const MOST_STREAMS_OF_CALLER = 10;
/** A client that has read nothing for this long is disconnected. */
const SLOW_MS = 60_000;

export function createEventStreams({ cache, clock, logger, signal }: EventStreamsSettings): EventStreams {
  const open = new Map<string, number>();
  let size = 0;

  function enter(caller: string): () => void {
    const own = open.get(caller) ?? 0;
    if (size >= MOST_STREAMS || own >= MOST_STREAMS_OF_CALLER) {
      const whose = own >= MOST_STREAMS_OF_CALLER ? 'of yours ' : '';
      throw new ProblemError('too_many_requests', `there are too many event streams ${whose}already: close one`, {
        headers: { 'retry-after': '10' },
      });
    }
    open.set(caller, own + 1);
    size += 1;
    return () => {
      size -= 1;
      const left = (open.get(caller) ?? 1) - 1;
      if (left === 0) open.delete(caller);
      else open.set(caller, left);
    };
  }

  return {
    get size() {
      return size;
    },
    open(subscription) {
      const leave = enter(subscription.caller);
      const ending = new AbortController();
      const gone = AbortSignal.any([subscription.signal, ending.signal]);
      const feed = createFeed(cache, subscription, { clock, stop: signal, gone });
      const reader = readingIn(clock, SLOW_MS, gone, subscription.cut);
      const encoder = new TextEncoder();
      const close = once(() => {
        ending.abort(new Error('the stream has ended'));
        feed.close();
        leave();
      });
      if (gone.aborted) close();
      else gone.addEventListener('abort', close, { once: true });
      return new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            reader.hasRead();
            try {
              const { value, done } = await feed.events.next();
              if (value !== undefined) controller.enqueue(encoder.encode(value));
              if (!done) return;
            } catch (error) {
              if (!gone.aborted) logger.error({ err: error, error: errorMessage(error) }, 'an event stream failed');
            }
            close();
            controller.close();
          },
          cancel: close,
        },
        // Nothing is prepared before the client can receive it: changes meanwhile are sent once, with the state at that
        // time.
        { highWaterMark: 0 },
      );
    },
  };
}

interface Waiting {
  readonly clock: Clock;
  /** The process ends. */
  readonly stop: AbortSignal;
  /** The client is gone. */
  readonly gone: AbortSignal;
}

function createFeed(cache: ProjectCache, subscription: Subscription, { clock, stop, gone }: Waiting) {
  const { concerns, first, maySee, tell, reauthenticate } = subscription;
  const changed = new Set<string>(first === undefined ? [] : [first]);
  /** The last data that was sent: unchanged data is not sent again. */
  const shown = new Map<string, ProjectMigration>();
  let wake = Promise.withResolvers<void>();
  const unsubscribe = cache.subscribe(({ key }: ObjectChange<ProjectMigration>) => {
    if (!concerns(key)) return;
    changed.add(key);
    wake.resolve();
  });

  /** The data to send about one object now; undefined: none. */
  async function describe(key: string): Promise<string | undefined> {
    const { namespace = '', name } = parseObjectKey(key);
    const isVisible = await maySee({ namespace, name });
    const project = isVisible ? cache.get(key) : undefined;
    if (project !== undefined) {
      if (shown.get(key) === project) return undefined;
      shown.set(key, project);
      return event('project', tell(project));
    }
    // For an object that was never visible nothing is sent, not even its removal.
    if (!shown.delete(key) && !isVisible) return undefined;
    return event('removed', { project_id: Number(/(\d+)$/.exec(name)?.[1] ?? 0), namespace, name });
  }

  async function* tellChanges(): AsyncGenerator<string, void> {
    for (const key of [...changed]) {
      changed.delete(key);
      try {
        const text = await describe(key);
        if (text !== undefined) yield text;
      } catch {
        // The rights cannot be determined: nothing is sent until they can.
        changed.add(key);
        return;
      }
    }
  }

  /** Rights and tokens may expire while a stream is open. */
  async function review(): Promise<string | undefined> {
    try {
      await reauthenticate();
    } catch (error) {
      if (error instanceof ProblemError && error.code !== 'too_many_requests')
        return event('end', { code: error.code, detail: error.message });
    }
    for (const key of shown.keys()) changed.add(key);
    return undefined;
  }

  async function* run(): AsyncGenerator<string, void> {
    yield first === undefined ? `retry: 3000\n${event('ready', {})}` : 'retry: 3000\n\n';
    let reviewAt = clock.monotonic() + 2 * EVENT_STREAM_HEARTBEAT_MS;
    // The change may be one that this client must not see: it gets a heartbeat then, too.
    let heardAt = clock.monotonic();
    while (!gone.aborted && !stop.aborted) {
      for await (const text of tellChanges()) {
        yield text;
        heardAt = clock.monotonic();
      }
      await pause(clock, EVENT_STREAM_PAUSE_MS, [stop, gone]);
      const left = heardAt + EVENT_STREAM_HEARTBEAT_MS - clock.monotonic();
      if (changed.size === 0 && left > 0) await pause(clock, left, [stop, gone], wake.promise);
      wake = Promise.withResolvers();
      if (clock.monotonic() - heardAt >= EVENT_STREAM_HEARTBEAT_MS && !stop.aborted && !gone.aborted) {
        yield ': heartbeat\n\n';
        heardAt = clock.monotonic();
      }
      if (clock.monotonic() < reviewAt) continue;
      reviewAt = clock.monotonic() + 2 * EVENT_STREAM_HEARTBEAT_MS;
      const end = await review();
      if (end === undefined) continue;
      yield end;
      return;
    }
    if (stop.aborted)
      yield event('end', { code: 'stopping', detail: 'the console is stopping: reconnect in a moment' });
  }

  return { events: run(), close: unsubscribe };
}

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

/** Waits for a time, or until one of the signals is aborted, or until something else happens first. */
async function pause(clock: Clock, milliseconds: number, signals: AbortSignal[], sooner?: Promise<void>) {
  const waiting = new AbortController();
  const time = clock.sleep(milliseconds, AbortSignal.any([...signals, waiting.signal])).catch(() => {}); // ended
  await (sooner === undefined ? time : Promise.race([time, sooner]));
  waiting.abort();
}

/** Calls back when nothing was read for this time. */
function readingIn(clock: Clock, milliseconds: number, gone: AbortSignal, onSilence: () => void) {
  let readAt = clock.monotonic();
  async function watch() {
    while (!gone.aborted) {
      await pause(clock, milliseconds / 4, [gone]);
      if (!gone.aborted && clock.monotonic() - readAt > milliseconds) return onSilence();
    }
  }
  void watch();
  return {
    hasRead() {
      readAt = clock.monotonic();
    },
  };
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
