import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { EVENT_RECORD } from '@edge-migration/runtime/policies.ts';
import type { Registry } from 'prom-client';
import type { KubernetesClient, Resource } from './client.ts';
import { startDeadline, whenAborted } from './deadline.ts';
import { ApiError, ForbiddenError, NotFoundError } from './errors.ts';
import { EventObjects, identify, type ObservedEvent, subjectOf } from './event-object.ts';
import { AllSeries, SERIES_END_MS, type Series } from './event-series.ts';
import { type RuntimeMetrics, runtimeMetrics } from './metrics.ts';
import { formatMicroTime } from './objects.ts';
import { WorkQueue } from './work-queue.ts';

export type { ObservedEvent } from './event-object.ts';

const EVENTS: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

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

/** A count is written this often at most. */
const SERIES_UPDATE_MS = 60_000;
const FLUSH_MS = 5_000;

/** Sends events to the API server, repetitions as counts. */
export class EventRecorder {
  private readonly settings: EventRecorderSettings;
  private readonly metrics: RuntimeMetrics;
  private readonly queue: WorkQueue;
  private readonly objects: EventObjects;
  private readonly all: AllSeries;

  constructor(settings: EventRecorderSettings) {
    const { clock, registry } = settings;
    this.settings = settings;
    this.metrics = runtimeMetrics(registry);
    this.queue = new WorkQueue({ name: 'events', clock, registry, backoff: EVENT_RECORD });
    this.objects = new EventObjects(settings);
    this.all = new AllSeries(clock);
    for (const result of ['sent', 'failed', 'dropped']) this.metrics.events.inc({ result }, 0);
  }

  /** Queues the event and returns at once. Never throws: an event that cannot be sent is counted and discarded. */
  record(event: ObservedEvent): void {
    const identity = identify(event);
    const known = this.all.repeat(identity);
    if (known !== undefined) {
      this.queue.addAfter(identity, known.sentAt + SERIES_UPDATE_MS - this.settings.clock.monotonic());
      return;
    }
    const subject = subjectOf(event);
    if (!this.all.mayBegin(subject)) {
      this.metrics.events.inc({ result: 'dropped' });
      return;
    }
    this.all.begin(identity, subject, this.objects.create(event));
    this.queue.add(identity);
  }

  /** Sends until the signal is aborted, then the remaining events, for a few seconds. */
  async run(signal: AbortSignal): Promise<void> {
    const sending = new AbortController();
    const working = this.work(sending.signal);
    await whenAborted(signal);
    for (const identity of this.all.unsent()) this.queue.add(identity);
    const limit = startDeadline(this.settings.clock, FLUSH_MS);
    limit.signal.addEventListener('abort', () => sending.abort(limit.signal.reason), { once: true });
    await this.queue.shutDown({ drain: true });
    await working;
    limit.stop();
  }

  private async work(signal: AbortSignal): Promise<void> {
    const { queue } = this;
    for (let identity = await queue.take(); identity !== undefined; identity = await queue.take()) {
      await this.handle(identity, signal);
      queue.done(identity);
    }
  }

  /** Sends the changes of a series, or ends it. */
  private async handle(identity: string, signal: AbortSignal): Promise<void> {
    const { queue, all } = this;
    const series = all.get(identity);
    if (series === undefined) return;
    try {
      if (series.count > series.sentCount) await this.send(series, signal);
      queue.forget(identity);
      const quiet = this.settings.clock.monotonic() - series.lastObserved;
      if (quiet >= SERIES_END_MS) all.end(identity, series);
      else if (series.count > series.sentCount) queue.addAfter(identity, SERIES_UPDATE_MS);
      else queue.addAfter(identity, SERIES_END_MS - quiet);
    } catch (error) {
      if (mayHelp(error) && queue.retries(identity) < EVENT_RECORD.attempts - 1 && !signal.aborted)
        return queue.addRateLimited(identity);
      this.metrics.events.inc({ result: 'failed' });
      this.settings.logger.warn({ error: errorMessage(error) }, 'an event could not be recorded');
      queue.forget(identity);
      all.end(identity, series);
    }
  }

  private async send(series: Series, signal: AbortSignal): Promise<void> {
    const { client, clock, reportingController } = this.settings;
    const { count } = series;
    const lastObservedTime = formatMicroTime(clock.now() - (clock.monotonic() - series.lastObserved));
    const event = count === 1 ? series.object : { ...series.object, series: { count, lastObservedTime } };
    // Applied, not created: a repetition after a lost response, or after the API server expired it, does no harm.
    await client.apply(EVENTS, event, { fieldManager: reportingController, force: true, signal, retries: 0 });
    series.sentCount = count;
    series.sentAt = clock.monotonic();
    this.metrics.events.inc({ result: 'sent' });
  }
}

/** A namespace that is deleted or being deleted rejects events, and rights are not granted within the retries. */
function mayHelp(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    error.disposition !== 'rejected' &&
    !(error instanceof ForbiddenError || error instanceof NotFoundError)
  );
}
