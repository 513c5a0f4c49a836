import { createCapture } from '@edge-migration/replay-sidecar/capture/capture.ts';
import { createProxy } from '@edge-migration/replay-sidecar/capture/proxy/proxy.ts';
import type { GapRecorder } from '@edge-migration/replay-sidecar/capture/spool/gaps.ts';
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
import { waitFor } from '../cluster/wait.ts';
import { type Case, render } from './case.ts';
import type { MarkedGap } from './coverage.ts';
import { type JudgeSettings, startJudge } from './judge.ts';
import { type Judgement, judge, type Observation, type Reached } from './verdict.ts';
import { DIRECT, exchange, NEIGHBOUR } from './wire.ts';

export interface Judged extends Judgement {
  readonly observation: Observation;
}

/** A judge, and the sidecar in front of it. */
export interface Stage extends AsyncDisposable {
  /** Sends the case both ways in sequence, and judges the results. */
  judge(one: Case): Promise<Judged>;
}

export async function createStage(settings: JudgeSettings): Promise<Stage> {
  const api = await startJudge(settings);
  const folder = temporaryFolder();
  const test = await openSpool(folder.path, { clock: systemClock as TestSpool['clock'], segmentBytes: 1 << 20 });
  const { spool } = test;
  const gaps = recordGaps(spool.gaps);
  const logger = createLogger('differential', 'silent');
  const watched = { begin: spool.begin, gaps: gaps.ledger };
  const capture = createCapture({
    spool: watched,
    usage: new Usage(systemClock),
    clock: systemClock,
    logger,
    readWindowMs: 0,
  });
  const upstream = { host: '127.0.0.1', port: api.port };
  // A busy disk or database is no reason for a gap.
  const limits = { prepareMs: 120_000, intentMs: 120_000, callMs: 120_000, connectMs: 120_000 };
  const proxy = createProxy({ upstream, capture, clock: systemClock, logger, metrics: createMetrics(), limits });
  const { port } = await proxy.listen({ host: '127.0.0.1', port: 0 });

  async function send(bytes: Buffer, to: number, from: string): Promise<Reached> {
    const { status, late } = await exchange({ port: to, from, bytes });
    if (late) throw new Error(`${to === port ? 'The sidecar' : 'The API'} neither answered nor ended a request`);
    return { status, entries: await api.take(status === undefined) };
  }

  return {
    async judge(one) {
      const bytes = render(one);
      const direct = await send(bytes, api.port, DIRECT);
      const reached = await send(bytes, port, NEIGHBOUR);
      // A capture ends with its request's response.
      await new Promise((resolve) => setImmediate(resolve));
      await waitFor(() => areAllEnded(spool), { for: 'the intents to end', intervalMs: 1 });
      const events = (await drain(spool)).map(eventOf);
      const observation = { direct, through: { ...reached, events, gaps: gaps.take() } };
      return { observation, ...judge(observation, settings.forwardedAllowIps === undefined) };
    },
    async [Symbol.asyncDispose]() {
      await proxy.stop(1000);
      await test[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

/** The spool's ledger, which joins gaps; with the reports since the last call. */
function recordGaps(ledger: GapRecorder): { ledger: GapRecorder; take(): MarkedGap[] } {
  let marked: MarkedGap[] = [];
  const recording: GapRecorder = {
    ...ledger,
    open(reason, from, scope) {
      marked.push({ reason, scope });
      ledger.open(reason, from, scope);
    },
    mark(reason, from, until, scope) {
      marked.push({ reason, scope });
      ledger.mark(reason, from, until, scope);
    },
  };
  return {
    ledger: recording,
    take() {
      const taken = marked;
      marked = [];
      return taken;
    },
  };
}
