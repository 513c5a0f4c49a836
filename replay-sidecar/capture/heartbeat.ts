import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { coverageSubject, probeSubject } from '@edge-migration/contract/streams/events.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { GAP_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { Publisher } from './publisher/publisher.ts';
import type { Spool } from './spool/spool.ts';
import type { Usage } from './usage/usage.ts';

export interface HeartbeatOptions {
  /** Fields that stay the same for the life of the process. */
  sidecar: Pick<CoverageReport, 'instance' | 'podUid' | 'podName' | 'namespace' | 'node' | 'release'>;
  publisher: Pick<Publisher, 'probe' | 'publish' | 'connected'>;
  spool: Pick<Spool, 'facts' | 'gaps'>;
  usage: Pick<Usage, 'page' | 'untold' | 'confirm'>;
  clock: Clock;
  logger: Logger;
  intervalMs: number;
}

export interface Heartbeat {
  /** Proves the way to the stream and reports, until the signal aborts. Rejects only with its reason. */
  run(signal: AbortSignal): Promise<void>;
  /** Says goodbye if nothing is left to send; returns whether it did. For process exit: nothing is reported after. */
  sayGoodbye(): Promise<boolean>;
  /** The last test event that came back. */
  readonly probe: CoverageReport['probe'];
}

/**
 * Tells the operator that this pod's writes are seen. The proof is a test event that the stream stored, not a
 * connection: the stream may be missing or full, or permissions may be wrong, while the connection is fine.
 */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { sidecar, publisher, spool, usage, clock, logger } = options;
  const startedTime = iso(clock.now());
  // The next one arrives before it expires.
  const timeToLive = `${Math.ceil((2 * options.intervalMs) / 1000)}s`;
  let probe: CoverageReport['probe'] = null;
  let wasWell: boolean | undefined;
  let saidUnnamed = false;
  let beating: Promise<unknown> = Promise.resolve();
  let isEnding = false;

  async function prove(): Promise<void> {
    const payload = JSON.stringify({ instance: sidecar.instance, time: iso(clock.now()) });
    const { sequence } = await publisher.probe(probeSubject(sidecar.podUid), payload, { 'Nats-TTL': [timeToLive] });
    probe = { sequence, time: iso(clock.now()) };
  }

  function report(goodbye: boolean, counted: CoverageReport['usage']): CoverageReport {
    const { id, depth, bytes, oldestUnsentTime, allSentUntil } = spool.facts();
    return {
      version: 1,
      ...sidecar,
      ...(id !== undefined && { spoolId: id }),
      startedTime,
      time: iso(clock.now()),
      spoolDepth: depth,
      spoolBytes: bytes,
      oldestUnsentTime: oldestUnsentTime === undefined ? null : iso(oldestUnsentTime),
      allSentUntil: allSentUntil === undefined ? null : iso(allSentUntil),
      gaps: spool.gaps.list(),
      probe,
      goodbye,
      usage: counted,
    };
  }

  async function send(goodbye: boolean, counted: CoverageReport['usage']): Promise<void> {
    const next = report(goodbye, counted);
    const { spoolId, ...unnamed } = next;
    // Anything reported before the spool had an id is reported under its id from now on.
    if (spoolId !== undefined && saidUnnamed) await publish({ ...unnamed, goodbye: true });
    saidUnnamed = spoolId === undefined;
    await publish(next);
    usage.confirm();
  }

  async function publish(next: CoverageReport): Promise<void> {
    await publisher.publish(coverageSubject(sidecar.podUid, next.spoolId), JSON.stringify(next));
  }

  /** Whether the report came through. It is sent even without a new proof: its gaps matter all the more then. */
  async function beat(): Promise<boolean> {
    const [proven, reported] = [await errorOf(prove()), await errorOf(send(false, usage.page()))];
    const error = proven ?? reported;
    if (error === undefined && wasWell !== true) logger.info('probe round trip succeeded');
    if (error !== undefined && wasWell !== false) logger.warn({ err: error }, 'probe round trip failed');
    wasWell = error === undefined;
    return reported === undefined;
  }

  return {
    async run(signal) {
      let nextBeat = Number.NEGATIVE_INFINITY;
      let reportedGaps = '';
      for (;;) {
        const gaps = JSON.stringify(spool.gaps.list());
        if (!isEnding && publisher.connected && (clock.monotonic() >= nextBeat || gaps !== reportedGaps)) {
          const reported = beat();
          beating = reported;
          if (await reported) reportedGaps = gaps;
          nextBeat = clock.monotonic() + options.intervalMs;
        }
        await clock.sleep(Math.min(GAP_POLL_MS, options.intervalMs), signal);
      }
    },
    async sayGoodbye() {
      // A report on its way would replace the goodbye.
      isEnding = true;
      await beating;
      const { depth, open, leftovers } = spool.facts();
      const allSent = depth === 0 && open === 0 && leftovers === 'read';
      try {
        await send(allSent, usage.untold());
      } catch (error) {
        logger.warn({ err: error }, 'the last report could not be sent');
        return false;
      }
      return allSent;
    },
    get probe() {
      return probe;
    },
  };
}

/** The error, if there was one. */
async function errorOf(work: Promise<void>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error;
  }
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
