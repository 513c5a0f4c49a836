/** Helpers shared by the tests of the capture. */
import { Writable } from 'node:stream';

import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { pino } from 'pino';

import { createCapture, type FlagsmithCapture } from './capture.ts';
import type { CallUpstream, Capture, CaptureOutcome } from './proxy/hook.ts';
import { headOf } from './routes/testing.ts';
import { drain, eventOf, openSpool, type TestSpool, temporaryFolder } from './spool/testing.ts';
import { Usage } from './usage/usage.ts';

/** An API that gives this answer to every question of ours. */
export const answering =
  (status: number): CallUpstream =>
  async () => ({ status, fields: [], body: Buffer.alloc(0) });

export const WINDOW_MS = 30_000;
export const unknown: CaptureOutcome = { kind: 'unknown', why: 'reset' };

/** A capture with a spool in its own folder, by a clock that the test moves. */
export interface TestCapture extends AsyncDisposable, Pick<TestSpool, 'spool' | 'clock'> {
  readonly capture: FlagsmithCapture;
  readonly usage: Usage;
  /** The spool's folder. */
  readonly path: string;
  /** Lines of its log. */
  readonly log: readonly string[];
  begin(request: string, body?: unknown): Capture;
  /** The whole of a request and how it ended. */
  exchange(request: string, body: unknown, outcome: CaptureOutcome): Promise<void>;
  /** What is published now, oldest first. */
  published(): Promise<WriteEvent[]>;
}

export async function openCapture(): Promise<TestCapture> {
  const folder = temporaryFolder();
  const opened = await openSpool(folder.path);
  const { spool, clock } = opened;
  const log: string[] = [];
  const lines = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(chunk.toString());
      done();
    },
  });
  const usage = new Usage(clock);
  const capture = createCapture({ spool, usage, clock, logger: pino({}, lines), readWindowMs: WINDOW_MS });

  function begin(request: string, body?: unknown): Capture {
    const begun = capture.begin(headOf({ request, body }), answering(200));
    if (begun === undefined) throw new Error(`${request} is not captured`);
    return begun;
  }

  return {
    ...{ capture, usage, spool, clock, log, path: folder.path, begin },
    async exchange(request, body, outcome) {
      const begun = begin(request);
      await begun.intent(Buffer.from(JSON.stringify(body) ?? ''), 'whole');
      begun.finish(outcome);
    },
    async published() {
      // Events are handed over once their intent is on disk.
      await spool.tick();
      await new Promise((resolve) => setImmediate(resolve));
      return (await drain(spool)).map(eventOf);
    },
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** How the API responded. */
export function answer(status: number, json?: unknown): CaptureOutcome {
  const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
  return { kind: 'responded', status, fields: [], body, truncated: false };
}

/** The identities of the events, or their kind of target. */
export const identifiers = (events: readonly WriteEvent[]) =>
  events.map(({ target }) => (target.kind === 'identity' ? target.identifier : target.kind));
