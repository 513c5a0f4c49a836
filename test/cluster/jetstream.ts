import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll } from 'vitest';
import { startNats } from './nats.ts';

/** Gives a test file its own NATS; the returned value is ready when its tests begin. */
export function useJetStream() {
  const on = {} as { connection: NatsConnection; manager: JetStreamManager };
  const resources = new AsyncDisposableStack();
  beforeAll(async () => {
    const nats = resources.use(await startNats());
    on.connection = await connect({ servers: nats.url });
    resources.defer(() => on.connection.close());
    on.manager = await jetstreamManager(on.connection, { timeout: 60_000 });
  });
  afterAll(() => resources.disposeAsync());
  return on;
}
