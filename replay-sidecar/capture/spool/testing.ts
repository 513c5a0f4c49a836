/** Helpers shared by the tests of this folder. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WriteEvent, writeEvent } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

import type { DraftEvent } from './draft.ts';
import type { OutboxEvent } from './outbox.ts';
import { createSpool, type Spool, type SpoolOptions } from './spool.ts';

export interface ManualClock extends Clock {
  advance(milliseconds: number): void;
  /** Moves only the wall clock, as NTP or a person does. */
  step(milliseconds: number): void;
}

/** Time that only moves when advanced; nothing sleeps by it. */
export function manualClock(start = Date.parse('2026-06-01T00:00:00Z')): ManualClock {
  let now = start;
  let offset = 0;
  return {
    now: () => now + offset,
    monotonic: () => now,
    sleep: () => Promise.reject(new Error('nobody sleeps by this clock')),
    advance(milliseconds) {
      now += milliseconds;
    },
    step(milliseconds) {
      offset += milliseconds;
    },
  };
}

/** A draft about an identity called `identifier`. */
export function draft(identifier: string, traits: string[] = ['plan']): DraftEvent {
  return {
    target: { kind: 'identity', environment: { clientKey: 'env' }, identifier },
    touched: { traits, overrides: [] },
    traitGates: [],
    route: 'identities.post',
  };
}

/** The identifier that {@link draft} was given. */
export function identifierOf(delivery: OutboxEvent): string {
  const { target } = eventOf(delivery);
  return target.kind === 'identity' ? target.identifier : '';
}

/** What would be published; must be a valid event. */
export function eventOf(delivery: OutboxEvent): WriteEvent {
  return writeEvent.parse(JSON.parse(delivery.json));
}

export interface Folder extends Disposable {
  readonly path: string;
}

export function temporaryFolder(copyOf?: string): Folder {
  const path = mkdtempSync(join(tmpdir(), 'spool-'));
  if (copyOf !== undefined) cpSync(copyOf, path, { recursive: true });
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface TestSpool extends AsyncDisposable {
  readonly spool: Spool;
  readonly clock: ManualClock;
  readonly errors: unknown[];
  /** Time passes while the stream keeps answering. */
  elapse(milliseconds: number): void;
}

/** {@link createTestSpool}, with the directory in use, and what is left there read. */
export async function openSpool(directory: string, given: Partial<SpoolOptions> = {}): Promise<TestSpool> {
  const created = createTestSpool(directory, given);
  await created.spool.open();
  await created.spool.recover();
  return created;
}

/** A spool with tiny segments and little memory, so that all its paths are walked. */
export function createTestSpool(directory: string, given: Partial<SpoolOptions> = {}): TestSpool {
  const clock = (given.clock as ManualClock | undefined) ?? manualClock();
  const errors: unknown[] = [];
  const spool = createSpool({
    directory,
    clock,
    instance: 'api-1/uid-1',
    limitBytes: 16 * 1024 * 1024,
    safetyMs: 60_000,
    sync: 'none',
    segmentBytes: 2048,
    memoryCharacters: 2000,
    writeTimeoutMs: 10_000,
    onReady: () => undefined,
    onError: (error) => errors.push(error),
    ...given,
  });
  return {
    spool,
    clock,
    errors,
    elapse(milliseconds) {
      for (let left = milliseconds; left > 0; left -= ANSWER_MS) {
        spool.observeAnswer();
        clock.advance(Math.min(left, ANSWER_MS));
      }
      spool.observeAnswer();
    },
    [Symbol.asyncDispose]: () => spool.close(),
  };
}

const ANSWER_MS = 5000;

/** Lets asynchronous file access finish. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Whether no request is under way. Does the housekeeping of a running sidecar: a request's doubt ends only once its gap
 * is on the disk.
 */
export async function areAllEnded(spool: Spool): Promise<boolean> {
  await spool.tick();
  return spool.facts().open === 0;
}

/** Publishes everything to a stream that acknowledges at once; returns what was published, in order. */
export async function drain(spool: Spool, sequence = 1): Promise<OutboxEvent[]> {
  const deliveries: OutboxEvent[] = [];
  while (spool.facts().depth > 0) {
    const delivery = spool.outbox.next();
    if (delivery === undefined) {
      await turn();
      continue;
    }
    deliveries.push(delivery);
    spool.outbox.acknowledge(delivery, sequence++);
  }
  return deliveries;
}
