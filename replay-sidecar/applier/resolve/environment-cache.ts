import type { DerivedReference } from '@edge-migration/contract/write-event.ts';
import type { Core } from '@edge-migration/identity/core/core.ts';
import { type EnvironmentRecord, referenceName } from '@edge-migration/identity/core/environments.ts';
import { createBatcher } from '@edge-migration/runtime/batcher.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { type EventRetry, isOutage } from '../event-retry.ts';

/** Which environment a reference names, remembered for a few seconds. */
export interface EnvironmentCache {
  /** Undefined: not remembered, ask. Null: Core has no such environment. */
  get(reference: DerivedReference): EnvironmentRecord | null | undefined;
  /** Null: Core has no such environment. Waits through outages; rejects with the signal's reason. */
  load(reference: DerivedReference): Promise<EnvironmentRecord | null>;
  /** What is remembered of an environment is out of date. */
  forget(environmentId: number): void;
  /** Notes which environment a key belongs or belonged to. */
  learn(reference: DerivedReference, environmentId: number): void;
}

/**
 * Less than the time after which events about whole environments are handled again, so that anything done by an old
 * name or setting is put right.
 */
const KNOWN_MS = 10_000;
const UNKNOWN_MS = 2000;
/** All environments of a large installation; beyond that the oldest are dropped. */
const MAX_ENTRIES = 50_000;

interface Entry {
  readonly record: EnvironmentRecord | null;
  readonly until: number;
}

export interface EnvironmentCacheOptions {
  core: Core;
  eventRetry: EventRetry;
  clock: Clock;
  signal: AbortSignal;
}

export function createEnvironmentCache({ core, eventRetry, clock, signal }: EnvironmentCacheOptions): EnvironmentCache {
  const entries = new Map<string, Entry>();
  /**
   * The environments of keys seen so far, by the key's name. A server key means its environment forever, even if it was
   * removed after the write; so does a client key, unless Core has since given it to another environment.
   */
  const learned = new Map<string, number>();

  const batcher = createBatcher<DerivedReference, EnvironmentRecord | null>(
    async (references) => {
      const known = references.map((reference) => knownAs(reference));
      const found = await eventRetry.run(
        () => core.environments.find([...references, ...known.filter((one) => one !== undefined)], signal),
        signal,
      );
      return references.map((reference, index) => {
        const other = known[index];
        const record = found.get(referenceName(reference)) ?? (other && found.get(referenceName(other))) ?? null;
        remember(reference, record);
        return record;
      });
    },
    { isolates: (error) => !isOutage(error) },
  );

  function knownAs(reference: DerivedReference): DerivedReference | undefined {
    const environmentId = learned.get(referenceName(reference));
    return environmentId === undefined ? undefined : { environmentId };
  }

  function remember(reference: DerivedReference, record: EnvironmentRecord | null): void {
    const name = referenceName(reference);
    entries.delete(name);
    entries.set(name, { record, until: clock.monotonic() + (record === null ? UNKNOWN_MS : KNOWN_MS) });
    dropOldest(entries);
    if (record !== null) learn(reference, record.environment.id);
  }

  function learn(reference: DerivedReference, environmentId: number): void {
    if ('environmentId' in reference) return;
    const name = referenceName(reference);
    learned.delete(name);
    learned.set(name, environmentId);
    dropOldest(learned);
  }

  return {
    get(reference) {
      const entry = entries.get(referenceName(reference));
      return entry !== undefined && entry.until > clock.monotonic() ? entry.record : undefined;
    },
    load: (reference) => batcher.ask(referenceName(reference), reference),
    learn,
    forget(environmentId) {
      for (const [name, { record }] of entries) if (record?.environment.id === environmentId) entries.delete(name);
    },
  };
}

function dropOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= MAX_ENTRIES) return;
    map.delete(key);
  }
}
