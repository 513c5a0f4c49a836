import { randomInt } from 'node:crypto';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { EVENT_RECORD } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import type { KubernetesClient, KubernetesObject, Resource } from './client.ts';
import { startDeadline, whenAborted } from './deadline.ts';
import { ApiError, ForbiddenError, NotFoundError } from './errors.ts';
import { runtimeMetrics } from './metrics.ts';
import { formatMicroTime } from './objects.ts';
import { createTokenBucket, type TokenBucket } from './rate-limiter.ts';
import { WorkQueue } from './work-queue.ts';

const EVENTS: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

type Subject = Pick<KubernetesObject, 'apiVersion' | 'kind' | 'metadata'>;

/**
 * An event for people. Everything except the note identifies it: a repetition within six minutes is not another event
 * but a higher count, so put numbers, names and times into the note.
 */
export interface ObservedEvent {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase: the reason. */
  readonly reason: string;
  /** CamelCase: the action that was done or attempted. */
  readonly action: string;
  /** A sentence; truncated to 1 kB. */
  readonly note: string;
  /** The object that the event is about; `kubectl describe` shows it there. */
  readonly regarding: Subject;
  readonly related?: Subject | undefined;
}

export interface EventRecorder {
  /** Queues the event and returns at once. Never throws: an event that cannot be sent is counted and discarded. */
  record(event: ObservedEvent): void;
  /** Sends until the signal is aborted, then the remaining events, for a few seconds. */
  run(signal: AbortSignal): Promise<void>;
}

export interface EventRecorderSettings {
  readonly client: KubernetesClient;
  /** For example `example.com/operator`. */
  readonly reportingController: string;
  /** The pod's name. */
  readonly reportingInstance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry | undefined;
}

/** A repeated event: its API object, and the count that the API server already has. */
interface Series {
  readonly subject: string;
  readonly object: KubernetesObject;
  count: number;
  lastObserved: number;
  sentCount: number;
  sentAt: number;
}

/** KEP-383: a series ends when nothing was added to it for six minutes. */
const SERIES_END_MS = 360_000;
/** A count is written this often at most. */
const SERIES_UPDATE_MS = 60_000;
const MOST_SERIES = 4_096;
/** Per object, like client-go's spam filter: a burst of 25, then one in five minutes. */
const RATE_PER_OBJECT = { perSecond: 1 / 300, burst: 25 };
const FLUSH_MS = 5_000;
const LONGEST_NOTE_BYTES = 1_024;

export function createEventRecorder(settings: EventRecorderSettings): EventRecorder {
  const { client, clock, logger, reportingController, reportingInstance } = settings;
  const metrics = runtimeMetrics(settings.registry);
  const queue = new WorkQueue({ name: 'events', clock, registry: settings.registry, backoff: EVENT_RECORD });
  const allSeries = new Map<string, Series>();
  const buckets = new Map<string, TokenBucket>();
  let lastSuffix = 0n;
  for (const result of ['sent', 'failed', 'dropped']) metrics.events.inc({ result }, 0);

  function record(event: ObservedEvent) {
    const now = clock.monotonic();
    const identity = identify(event);
    const known = allSeries.get(identity);
    if (known !== undefined && now - known.lastObserved < SERIES_END_MS) {
      known.count++;
      known.lastObserved = now;
      return queue.addAfter(identity, known.sentAt + SERIES_UPDATE_MS - now);
    }
    if (!mayBegin(subjectOf(event))) return metrics.events.inc({ result: 'dropped' });
    const times = { count: 1, lastObserved: now, sentCount: 0, sentAt: Number.NEGATIVE_INFINITY };
    allSeries.set(identity, { subject: subjectOf(event), object: eventObject(event), ...times });
    queue.add(identity);
  }

  function mayBegin(subject: string): boolean {
    const bucket = buckets.get(subject) ?? createTokenBucket(clock, RATE_PER_OBJECT);
    buckets.set(subject, bucket);
    return allSeries.size < MOST_SERIES && bucket.tryTake();
  }

  /**
   * Nanoseconds, as in client-go: `kubectl describe` sorts events without another order by name. Two of one millisecond
   * stay in order, and names of two processes do not collide.
   */
  function nextSuffix(now: number): string {
    const time = BigInt(now) * 1_000_000n + BigInt(randomInt(1_000_000));
    lastSuffix = time > lastSuffix ? time : lastSuffix + 1n;
    return lastSuffix.toString(16).padStart(16, '0');
  }

  function eventObject({ type, reason, action, note, regarding, related }: ObservedEvent): KubernetesObject {
    const { name, namespace = 'default' } = regarding.metadata;
    const now = clock.now();
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, name: `${name.slice(0, 200)}.${nextSuffix(now)}` },
      eventTime: formatMicroTime(now),
      ...{ type, reason, action, reportingController, reportingInstance },
      note: shorten(note),
      regarding: referenceTo(regarding),
      ...(related !== undefined && { related: referenceTo(related) }),
    };
  }

  async function send(series: Series, signal: AbortSignal) {
    const { count } = series;
    const lastObservedTime = formatMicroTime(clock.now() - (clock.monotonic() - series.lastObserved));
    const event = count === 1 ? series.object : { ...series.object, series: { count, lastObservedTime } };
    // Applied, not created: a repetition after a lost response, or after the API server expired it, does no harm.
    await client.apply(EVENTS, event, { fieldManager: reportingController, force: true, signal, retries: 0 });
    series.sentCount = count;
    series.sentAt = clock.monotonic();
    metrics.events.inc({ result: 'sent' });
  }

  /** Sends the changes of a series, or ends it. */
  async function handle(identity: string, signal: AbortSignal) {
    const series = allSeries.get(identity);
    if (series === undefined) return;
    try {
      if (series.count > series.sentCount) await send(series, signal);
      queue.forget(identity);
      const quiet = clock.monotonic() - series.lastObserved;
      if (quiet >= SERIES_END_MS) end(identity, series);
      else if (series.count > series.sentCount) queue.addAfter(identity, SERIES_UPDATE_MS);
      else queue.addAfter(identity, SERIES_END_MS - quiet);
    } catch (error) {
      if (mayHelp(error) && queue.retries(identity) < EVENT_RECORD.attempts - 1 && !signal.aborted)
        return queue.addRateLimited(identity);
      metrics.events.inc({ result: 'failed' });
      logger.warn({ error: errorMessage(error) }, 'an event could not be recorded');
      queue.forget(identity);
      end(identity, series);
    }
  }

  function end(identity: string, { subject }: Series) {
    allSeries.delete(identity);
    if (![...allSeries.values()].some((series) => series.subject === subject)) buckets.delete(subject);
  }

  async function work(signal: AbortSignal) {
    for (let identity = await queue.take(); identity !== undefined; identity = await queue.take()) {
      await handle(identity, signal);
      queue.done(identity);
    }
  }

  return {
    record,
    async run(signal) {
      const sending = new AbortController();
      const working = work(sending.signal);
      await whenAborted(signal);
      for (const [identity, { count, sentCount }] of allSeries) if (count > sentCount) queue.add(identity);
      const limit = startDeadline(clock, FLUSH_MS);
      limit.signal.addEventListener('abort', () => sending.abort(limit.signal.reason), { once: true });
      await queue.shutDown({ drain: true });
      await working;
      limit.stop();
    },
  };
}

/** A namespace that is deleted or being deleted rejects events, and rights are not granted within the retries. */
function mayHelp(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    error.disposition !== 'rejected' &&
    !(error instanceof ForbiddenError || error instanceof NotFoundError)
  );
}

function subjectOf({ regarding }: ObservedEvent): string {
  return regarding.metadata.uid ?? `${regarding.kind}/${regarding.metadata.namespace}/${regarding.metadata.name}`;
}

function identify({ type, reason, action, regarding, related }: ObservedEvent): string {
  return JSON.stringify([type, reason, action, referenceTo(regarding), related && referenceTo(related)]);
}

function referenceTo({ apiVersion, kind, metadata: { namespace, name, uid } }: Subject) {
  return { apiVersion, kind, namespace, name, uid };
}

/** At most 1 kB of UTF-8, in whole characters. */
function shorten(note: string): string {
  if (Buffer.byteLength(note) <= LONGEST_NOTE_BYTES) return note;
  const ellipsis = '…';
  const { read } = new TextEncoder().encodeInto(note, new Uint8Array(LONGEST_NOTE_BYTES - Buffer.byteLength(ellipsis)));
  return note.slice(0, read) + ellipsis;
}
