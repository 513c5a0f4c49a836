import { createFakeClock, type FakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect } from 'vitest';
import { type ClientSettings, createClient, type KubernetesClient } from '../client.ts';
import type { Resource } from '../objects.ts';
import { type FakeApiServer, startFakeApiServer } from './fake-api-server.ts';

/** The fixture of a test file; created again for each of its tests. */
export interface Fake {
  server: FakeApiServer;
  clock: FakeClock;
  registry: Registry;
  client: KubernetesClient;
  /** An additional client, also closed at the end. */
  connect(settings?: Partial<ClientSettings>): KubernetesClient;
}

/** Gives each test of the file a fake API server, clock and client; a test that leaves a sleep pending fails. */
export function useFake(resources: readonly Resource[], defaults: Partial<ClientSettings> = {}): Fake {
  const clients: KubernetesClient[] = [];
  const fake = {
    connect(settings = {}) {
      const { clock, registry, server } = fake;
      const basics = { clock, registry, userAgent: 'test', random: () => 0.5 };
      const client = createClient({ kubeConfig: server.kubeConfig(), ...basics, ...defaults, ...settings });
      clients.push(client);
      return client;
    },
  } as Fake;

  beforeEach(async () => {
    fake.server = await startFakeApiServer(resources);
    fake.clock = createFakeClock();
    fake.registry = new Registry();
    fake.client = fake.connect();
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await fake.server.stop();
    expect(fake.clock.pending()).toEqual([]);
  });

  return fake;
}
