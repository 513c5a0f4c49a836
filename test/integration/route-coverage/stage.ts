import { request as httpRequest } from 'node:http';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { createCapture, type FlagsmithCapture } from '@edge-migration/replay-sidecar/capture/capture.ts';
import { createProxy } from '@edge-migration/replay-sidecar/capture/proxy/proxy.ts';
import type { Spool } from '@edge-migration/replay-sidecar/capture/spool/spool.ts';
import {
  areAllEnded,
  drain,
  eventOf,
  openSpool,
  type TestSpool,
  temporaryFolder,
} from '@edge-migration/replay-sidecar/capture/spool/testing.ts';
import { Usage } from '@edge-migration/replay-sidecar/capture/usage/usage.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createMetrics } from '@edge-migration/runtime/metrics.ts';
import { Client } from 'pg';
import { waitFor } from '../../cluster/wait.ts';
import type { Request } from './request.ts';
import { type Change, changesOf, type Rows, readRows, readSpreadRows, uncovered } from './rows.ts';

/** One request's changes in Core's rows, and the events that it left. */
interface Observation {
  readonly request: Request;
  /** Undefined when the connection broke. */
  readonly status: number | undefined;
  readonly events: readonly WriteEvent[];
  readonly changes: readonly Change[];
  /** The changes that no event covers. */
  readonly missed: readonly string[];
  /** Gaps that the request left. */
  readonly gaps: number;
}

/** Proxy, capture and spool in front of a Core API, with access to the API's database. */
export interface Stage extends AsyncDisposable {
  readonly port: number;
  readonly spool: Spool;
  readonly client: Client;
  rows(): Promise<Rows>;
  /** The events to be published now, oldest first; each is returned once. */
  events(): Promise<WriteEvent[]>;
  /** Sends one request and compares Core's change with the events that it left. */
  observe(makeRequest: (rows: Rows) => Request, until?: () => Promise<boolean>): Promise<Observation>;
}

export async function createStage(databaseUrl: string, apiPort: number): Promise<Stage> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const folder = temporaryFolder();
  const test = await openSpool(folder.path, { clock: systemClock as TestSpool['clock'] });
  const { spool } = test;
  const logger = createLogger('route-coverage', 'silent');
  const capture = createCapture({
    spool,
    usage: new Usage(systemClock),
    clock: systemClock,
    logger,
    readWindowMs: 0,
  });
  const upstream = { host: '127.0.0.1', port: apiPort };
  // A busy disk or database is no reason for a gap.
  const limits = { prepareMs: 120_000, intentMs: 120_000, callMs: 120_000, connectMs: 120_000 };
  const proxy = createProxy({ upstream, capture, clock: systemClock, logger, metrics: createMetrics(), limits });
  const { port } = await proxy.listen({ host: '127.0.0.1', port: 0 });
  const rows = () => readRows(client);
  const events = async () => (await drain(spool)).map(eventOf);

  return {
    port,
    spool,
    client,
    rows,
    events,
    async observe(makeRequest, until = async () => true) {
      const before = await rows();
      const request = makeRequest(before);
      const gapsBefore = capture.counts.uncovered;
      const status = await send(port, request);
      await waitFor(async () => (await areAllEnded(spool)) && (await until()), { for: 'the change', intervalMs: 1 });
      const left = await events();
      const after = await rows();
      const changes = changesOf(before, after);
      const spread = await readSpreadRows(client);
      const missed = changes.flatMap((change) => uncovered(change, left, spread));
      return { request, status, events: left, changes, missed, gaps: gapsSince(capture, gapsBefore) };
    },
    async [Symbol.asyncDispose]() {
      await proxy.stop(1000);
      await test[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
      await client.end();
    },
  };
}

function gapsSince({ counts }: FlagsmithCapture, before: number): number {
  return counts.uncovered - before;
}

function send(port: number, { method, target, headers, body }: Request): Promise<number | undefined> {
  return new Promise((resolve) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = httpRequest(
      { port, method, path: target, agent: false, headers: { ...headers, ...length } },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('error', () => resolve(undefined));
    request.end(body);
  });
}
