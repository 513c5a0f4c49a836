import {
  type ApplierReport,
  encodeReport,
  MOST_OUTAGE_CHARACTERS,
  type ProjectReport,
  type StreamReport,
} from '@edge-migration/contract/reports/applier.ts';
import { manage, reportSubject } from '@edge-migration/contract/streams/applier.ts';
import type { Away } from '@edge-migration/identity/edge/failover.ts';
import type { Silence } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { APPLIER_REPORT_MS } from '@edge-migration/runtime/policies.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import manifest from '../../package.json' with { type: 'json' };
import type { Backlog } from './backlog.ts';
import type { Counts } from './counts.ts';

/** What is in flight of one project. */
export interface InHand {
  readonly events: number;
  /** The oldest that was not applied before, milliseconds since the epoch. */
  readonly oldestObserved?: number | undefined;
}

export interface ReporterOptions {
  connection: NatsConnection;
  process: string;
  instance: string;
  /** Forgets the counts of projects that have neither an EdgeMigration nor events in flight any more. */
  forgetProjects(inHand: ReadonlyMap<number, InHand>): void;
  counts: Counts;
  /** Updated before each report. */
  backlog: Backlog;
  /** What is known of the streams. */
  streams(): StreamReport[];
  /** By project. */
  inHand(): ReadonlyMap<number, InHand>;
  /** Creates missing streams: without reports, as far as anyone knows, nothing is replayed. */
  ensureStreams(manager: JetStreamManager): Promise<unknown>;
  isAble(): boolean;
  outage(): unknown;
  /** Silence of the region that is written. */
  edgeUnreachable(): Silence | undefined;
  away(): Away | undefined;
  /** Seconds after which it is reported. */
  edgeUnreachableSeconds: number;
  clock: Clock;
  logger: Logger;
}

export interface Reporter {
  /** Rejects with the signal's reason. */
  run(signal: AbortSignal): Promise<never>;
  /** Sends the last report; never rejects. */
  sayGoodbye(): Promise<void>;
}

/** Publishes what the operator writes into the EdgeMigrations' status. */
export function createReporter(options: ReporterOptions): Reporter {
  const { connection, counts, backlog, clock, logger } = options;
  const client = jetstream(connection);
  const startedTime = iso(clock.now());

  function reportProjects(): ProjectReport[] {
    const inHand = options.inHand();
    options.forgetProjects(inHand);
    const ids = new Set([...counts.projects.keys(), ...inHand.keys()]);
    return [...ids].map((projectId) => {
      const { applied, dropped, parked, failed, lastAppliedTime } = counts.of(projectId);
      const hand = inHand.get(projectId);
      return {
        projectId,
        applied,
        dropped,
        parked,
        failed,
        inHand: hand?.events ?? 0,
        oldestObservedTime: hand?.oldestObserved === undefined ? null : iso(hand.oldestObserved),
        lastAppliedTime: lastAppliedTime === undefined ? null : iso(lastAppliedTime),
      };
    });
  }

  async function send(goodbye: boolean): Promise<void> {
    const outage = options.outage();
    const silence = options.edgeUnreachable();
    const isLong = silence !== undefined && silence.lastedMs >= options.edgeUnreachableSeconds * 1000;
    const report: ApplierReport = {
      version: 1,
      process: options.process,
      instance: options.instance,
      release: manifest.version,
      startedTime,
      time: iso(clock.now()),
      goodbye,
      confirmed: options.isAble(),
      outage: outage === undefined ? null : describe(outage),
      ...(isLong && { edgeUnreachableSince: iso(silence.since) }),
      ...describeAway(options.away()),
      streams: options.streams(),
      tellsRemovals: true,
      foreign: counts.foreign,
      projects: reportProjects(),
    };
    const { payload, headers } = encodeReport(report);
    await client.publish(reportSubject(options.process), payload, { headers });
  }

  return {
    async run(signal) {
      const manager = await manage(connection);
      let failing = false;
      for (;;) {
        try {
          if (failing) await options.ensureStreams(manager);
          await backlog.refresh(manager);
          await send(false);
          failing = false;
        } catch (error) {
          signal.throwIfAborted();
          if (!failing) logger.warn({ err: error }, 'no report can be sent');
          failing = true;
        }
        await clock.sleep(APPLIER_REPORT_MS, signal);
      }
    },
    async sayGoodbye() {
      try {
        await send(true);
      } catch (error) {
        logger.warn({ err: error }, 'the last report could not be sent');
      }
    },
  };
}

function describeAway(away: Away | undefined): Pick<ApplierReport, 'away'> {
  if (away === undefined) return {};
  const { region, home, since, reason } = away;
  return { away: { region, home, since: iso(since), reason: reason.slice(0, MOST_OUTAGE_CHARACTERS) } };
}

function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, MOST_OUTAGE_CHARACTERS);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
