import { createLogger } from '@edge-migration/runtime/logger.ts';
import { afterEach, beforeEach } from 'vitest';
import type { KubernetesObject } from '../objects.ts';
import { createReflector, type Reflector, type ReflectorSettings } from '../reflector.ts';
import { type Fake, useFake } from './fake.ts';
import { widgets } from './resources.ts';
import { until } from './until.ts';

export interface Widget {
  name: string;
  uid: string;
  size: number;
}

/** The time limit of each request: far from all other times, so that pending timers show what is happening. */
const REQUEST_LIMIT = 3_600_000;
/** With `random` at its midpoint no wait between attempts is longer. */
const LONGEST_WAIT_MS = 15_000;

/** A reflector of widgets on the fake API server; each test starts it. */
export function useReflector() {
  const fake = useFake([widgets], { timeoutMs: REQUEST_LIMIT, retries: 0 });
  let running: Promise<void>;

  const reflected = {
    fake,
    reflector: undefined as unknown as Reflector<Widget>,
    /** For example `added default/first`. */
    changes: [] as string[],
    /** Keys of unreadable objects. */
    errors: [] as unknown[],
    stop: new AbortController(),

    start(settings: Partial<ReflectorSettings<Widget>> = {}) {
      const reflector = createReflector({
        ...commonSettings(fake),
        resource: widgets,
        parse: parseWidget,
        ...settings,
      });
      reflector.subscribe((change) => {
        reflected.changes.push(`${change.type} ${change.key}`);
        if (change.type === 'unreadable') reflected.errors.push(change.error);
      });
      reflected.reflector = reflector;
      running = reflector.run(reflected.stop.signal);
    },

    async startSynced(settings: Partial<ReflectorSettings<Widget>> = {}) {
      reflected.start(settings);
      await reflected.reflector.synced;
      await until(() => fake.server.watching() === (settings.namespaces?.length ?? 1));
    },

    /** For example `first=1`, sorted. */
    cached: () =>
      reflected.reflector
        .list()
        .map(({ name, size }) => `${name}=${size}`)
        .sort(),

    received: (verb: string) => fake.server.requests.filter((request) => request.verb === verb).length,

    /** Waits until the loop waits before its next attempt; returns for how long. */
    async backOff(): Promise<number> {
      await until(() => isBackingOff(fake));
      return fake.clock.pending()[0]!;
    },

    /** Skips one wait. */
    async retry() {
      await fake.clock.advance(await reflected.backOff());
    },

    /** Skips all waits until the loop, which lost its watch, watches again. */
    async recover() {
      await until(() => fake.server.watching() === 0);
      await until(async () => {
        if (isBackingOff(fake)) await reflected.retry();
        return fake.server.watching() === 1;
      });
    },
  };

  beforeEach(() => {
    reflected.changes = [];
    reflected.stop = new AbortController();
    running = Promise.resolve();
  });

  afterEach(async () => {
    reflected.stop.abort(new Error('test over'));
    await running;
  });

  return reflected;
}

/** Only a short wait is pending: neither a request nor a watch. */
function isBackingOff({ clock }: Fake): boolean {
  const pending = clock.pending();
  return pending.length === 1 && pending[0]! <= LONGEST_WAIT_MS;
}

function commonSettings({ client, clock, registry }: Fake) {
  return { client, clock, registry, logger: createLogger('test', 'silent'), random: () => 0.5 };
}

function parseWidget({ metadata, spec }: KubernetesObject): Widget {
  const size = (spec as { size?: unknown }).size;
  if (typeof size !== 'number') throw new Error('size must be a number');
  return { name: metadata.name, uid: metadata.uid!, size };
}
