import { randomUUID } from 'node:crypto';
import { EVENT_SUBJECT } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** Number of concurrent publishes without an answer. */
const UNDER_WAY = 1000;

/** A write about one identity of a project, in the form most common at the sidecar. */
export function written(project: number, identifier: string): WriteEvent {
  return {
    version: 1,
    id: randomUUID(),
    target: { kind: 'identity', environment: { clientKey: `key-${project}` }, identifier },
    touched: { traits: ['plan', 'country'], overrides: [] },
    traitGates: ['clientTraits', 'persistTraitData'],
    outcome: 'known',
    observedTime: new Date().toISOString(),
    route: 'sdk-identify',
    instance: 'flagsmith-api-6c5d9f7b8-x2x4z/8f14e45f-ceea-467f-9af1-1a2b3c4d5e6f',
  };
}

/** Resolves when all of them are in the stream. */
export async function publishAll(
  connection: NatsConnection,
  count: number,
  make: (index: number) => WriteEvent,
): Promise<void> {
  const client = jetstream(connection, { timeout: 120_000 });
  for (let from = 0; from < count; from += UNDER_WAY) {
    const events = Array.from({ length: Math.min(UNDER_WAY, count - from) }, (_, index) => make(from + index));
    await Promise.all(events.map((event) => client.publish(EVENT_SUBJECT, JSON.stringify(event), { msgID: event.id })));
  }
}

/** This many a second, in portions of 50 ms. */
export async function publishSteadily(
  connection: NatsConnection,
  { rate, seconds, make }: { rate: number; seconds: number; make(): WriteEvent },
): Promise<void> {
  const portion = Math.round(rate / 20);
  const started = systemClock.monotonic();
  for (let count = 0; count < seconds * 20; count++) {
    await publishAll(connection, portion, make);
    await systemClock.sleep(Math.max(0, started + (count + 1) * 50 - systemClock.monotonic()));
  }
}
