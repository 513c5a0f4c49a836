import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { FAILOVER_LOOK_MS } from '@edge-migration/runtime/policies.ts';
import { compositeKey, type Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import type { OtherRegions, RegionReader } from './other-regions.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';
import { type CallOptions, EdgeError, type EdgeStore, type Silence } from './table/table.ts';

export interface FailoverSettings {
  readonly dynamodbOtherRegions?: readonly string[] | undefined;
  readonly failoverAfterSeconds: number;
  readonly failoverReturnSeconds: number;
}

/** Another region than the home region is written. */
export interface Away {
  readonly region: string;
  /** The home region. */
  readonly home: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Why, for people. */
  readonly reason: string;
}

/** Chooses the region that is written (docs/design.md, "Convergence", rule 10). */
export interface Failover {
  /** Undefined while the home region is written. */
  away(): Away | undefined;
  /** A document was written. What was written elsewhere is looked for in the home region before that is written again. */
  wrote(key: string): void;
  /** Since when the home region does not answer. */
  homeSilence(): Silence | undefined;
  /** Rejects with the signal's reason. */
  run(signal: AbortSignal): Promise<never>;
}

/** What a choice goes by. */
export interface FailoverView {
  /** For how long the region that is written has not answered. */
  readonly silentSeconds: number;
  readonly isAway: boolean;
  /** For how long the home region has answered every time; undefined: not the last time. */
  readonly answeringSeconds: number | undefined;
  /** Documents that were written elsewhere and are not found in the home region yet; undefined: not looked for. */
  readonly awaited: number | undefined;
  /** The region that is written answers, but it refuses what is asked of it, so there is nothing to wait for. */
  readonly isRefused: boolean;
  /** For how long it has refused what this process wants to write; 0 while it does not. */
  readonly refusedSeconds: number;
}

/**
 * `leave`: go on in another region; `await`: choose documents that must be found in the home region; `return`: it has them.
 */
export type FailoverChoice = 'stay' | 'leave' | 'await' | 'return';

/** Decides whether to leave the region that is written, or to come back to the home region. */
export function chooseFailover(
  { silentSeconds, isAway, answeringSeconds, awaited, isRefused, refusedSeconds }: FailoverView,
  { failoverAfterSeconds, failoverReturnSeconds }: FailoverSettings,
): FailoverChoice {
  if (failoverAfterSeconds > 0 && silentSeconds >= failoverAfterSeconds) return 'leave';
  if (!isAway) return 'stay';
  // A region that takes no writes is no place to wait for the home region in. The home region itself is not left for that.
  if (answeringSeconds === undefined) return refusedSeconds >= failoverAfterSeconds ? 'leave' : 'stay';
  if (answeringSeconds < failoverReturnSeconds) return 'stay';
  if (awaited === undefined) return isRefused ? 'return' : 'await';
  return awaited === 0 ? 'return' : 'stay';
}

const LOOKING = 'looking';
const AWAITING = 'awaiting';
/** Of the documents that were written elsewhere, so many are looked for in the home region: the newest. */
const MOST_WRITTEN = 100;

export interface FailoverOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the region that is written refuses what this process wants to write. */
  isRefused(): boolean;
}

/** An answer that remains the same until a person has changed something. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof EdgeError && error.disposition === 'misconfigured';

/**
 * Watches the region that is written. Each process chooses for itself: what they write in different regions is a case of
 * what clients of several regions write, for which looks are made.
 */
export function createFailover(
  edge: EdgeStore,
  regions: Pick<OtherRegions, 'readers'>,
  settings: FailoverSettings,
  { clock, logger, isRefused }: FailoverOptions,
): Failover {
  let away: Away | undefined;
  /** While another region is written: since when the home region has not answered, or had not when it was left. */
  let silent: Moment | undefined;
  let answering: Moment | undefined;
  /** Since when the region that is written, and is not the home region, refuses what is written. */
  let refused: Moment | undefined;
  let awaited: Set<string> | undefined;
  /** What was written elsewhere cannot be read there, so it cannot be looked for either. */
  let isBlind = false;
  const written = new Set<string>();
  /** What was said last of each region, and of looks that fail: it is said once. */
  const said = new Map<string, string>();

  function warn(about: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    if (said.get(about) !== message) logger.warn(fields, message);
    said.set(about, message);
  }

  async function look(signal: AbortSignal): Promise<void> {
    if (away !== undefined) await askHome(signal);
    refused = away !== undefined && isRefused() ? (refused ?? momentOf(clock)) : undefined;
    switch (choose()) {
      case 'leave':
        // Its last answer may only be long ago because nothing was asked since.
        if ((refused !== undefined || !(await answers(edge, signal))) && choose() === 'leave') await leave(signal);
        return;
      case 'await':
        // Where nothing was written, nothing could tell whether replication works; the next write will.
        if (written.size > 0) awaited = new Set(written);
        return;
      case 'return':
        comeBack();
    }
  }

  function choose(): FailoverChoice {
    return chooseFailover(
      {
        silentSeconds: (edge.silence()?.lastedMs ?? 0) / 1000,
        isAway: away !== undefined,
        answeringSeconds: answering && leastSince(clock, answering) / 1000,
        awaited: awaited?.size,
        isRefused: isBlind || (written.size === 0 && isRefused()),
        refusedSeconds: refused === undefined ? 0 : leastSince(clock, refused) / 1000,
      },
      settings,
    );
  }

  async function askHome(signal: AbortSignal): Promise<void> {
    const [home] = await regions.readers();
    if (!(await answers(home!.edge, signal))) {
      if (answering !== undefined) silent = momentOf(clock);
      answering = undefined;
      awaited = undefined;
      isBlind = false;
    } else {
      answering ??= momentOf(clock);
      // Where it fails, the region that is written may have become silent, and is to be left.
      if (awaited !== undefined) await findAwaited(home!, awaited, signal).catch((error) => giveUp(error, signal));
    }
  }

  function giveUp(error: unknown, signal: AbortSignal): void {
    signal.throwIfAborted();
    warn(AWAITING, { err: error }, 'what was written in another region cannot be looked for in the home region');
  }

  async function findAwaited(home: RegionReader, keys: Set<string>, signal: AbortSignal): Promise<void> {
    const asked = [...keys];
    const there = await edge.identities.getMany(asked, { signal }).catch((error: unknown) => {
      if (isRefusal(error)) isBlind = true;
      if (isBlind) awaited = undefined;
      throw error;
    });
    const here = await home.edge.identities.getMany(asked, { signal });
    for (const key of asked) if (isSame(there.get(key), here.get(key))) keys.delete(key);
    said.delete(AWAITING);
  }

  /** To the next region of the list that answers and has the same table; from a silent one to the home region where there is no other. */
  async function leave(signal: AbortSignal): Promise<void> {
    const [home, ...others] = await regions.readers();
    const present = away?.region ?? home!.region;
    const at = others.findIndex(({ region }) => region === present) + 1;
    // Where the present one answers, it can be told whether the home region has what was written elsewhere: it is not gone back
    // to before. One that answers now and then would pass for one that has come back.
    const last = refused === undefined ? [home!] : [];
    const order = [...others.slice(at), ...others.slice(0, at), ...last].filter(({ region }) => region !== present);
    for (const candidate of order) {
      if (!(await isReplica(candidate, home!.region, signal))) continue;
      if (candidate === home) comeBack();
      else goTo(candidate.region, home!.region);
      return;
    }
  }

  async function isReplica(
    { region, edge: tables }: RegionReader,
    home: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      const { identities } = await tables.describe({ signal });
      await askForDocument(tables, { signal });
      // Two regions may have been given one endpoint by mistake.
      if (identities.region === region && tables.regions()?.has(home)) {
        said.delete(region);
        return true;
      }
      warn(
        region,
        { region, home },
        'Edge is not written in a region whose tables are of another region, or no replicas of the home region',
      );
    } catch (error) {
      signal.throwIfAborted();
      warn(region, { err: error, region }, 'Edge cannot be written in another region either');
    }
    return false;
  }

  function goTo(region: string, home: string): void {
    const { since = clock.now(), lastedMs = 0 } = edge.silence() ?? {};
    const seconds = (time: number) => `${Math.round(time / 1000)} s`;
    const reason =
      refused === undefined
        ? `${away?.region ?? home} has not answered for ${seconds(lastedMs)}`
        : `${away?.region ?? home} has refused writes for ${seconds(leastSince(clock, refused))}`;
    // The home region may answer already while it is another one that is left.
    if (away === undefined) silent = { wall: since, monotonic: clock.monotonic() - lastedMs };
    away = { region, home, reason, since: clock.now() };
    awaited = undefined;
    refused = undefined;
    isBlind = false;
    edge.goTo(region);
    logger.warn({ region, home, reason }, 'Edge is written in another region');
  }

  function comeBack(): void {
    logger.warn({ region: away?.home, from: away?.region }, 'Edge is written in the home region again');
    away = undefined;
    answering = undefined;
    awaited = undefined;
    refused = undefined;
    isBlind = false;
    written.clear();
    edge.goTo(undefined);
  }

  return {
    away: () => away,
    wrote(key) {
      if (away === undefined) return;
      written.delete(key);
      written.add(key);
      const [oldest] = written;
      if (written.size > MOST_WRITTEN) written.delete(oldest!);
    },
    homeSilence() {
      if (away === undefined) return edge.silence();
      if (answering !== undefined || silent === undefined) return undefined;
      return { since: silent.wall, lastedMs: clock.monotonic() - silent.monotonic };
    },
    async run(signal) {
      for (;;) {
        await clock.sleep(FAILOVER_LOOK_MS, signal);
        await look(signal).then(() => said.delete(LOOKING), ignoreUnless(signal));
      }
    },
  };

  function ignoreUnless(signal: AbortSignal) {
    return (error: unknown): void => {
      signal.throwIfAborted();
      warn(LOOKING, { err: error }, 'it cannot be looked up which region of Edge is to be written');
    };
  }
}

/** No environment's API key is empty. */
const NO_KEY = compositeKey('', '');

/**
 * Asks for a document that cannot exist, which shows that documents can be read: `DescribeTable` may answer where nothing
 * else does.
 *
 * @throws EdgeError
 */
export async function askForDocument(edge: EdgeStore, call: CallOptions): Promise<void> {
  await edge.identities.get(NO_KEY, call);
}

/** Any answer counts, a refusal too. */
async function answers(edge: EdgeStore, signal: AbortSignal): Promise<boolean> {
  await askForDocument(edge, { signal, once: true }).catch(() => signal.throwIfAborted());
  return edge.silence() === undefined;
}

function isSame(one: Item | undefined, other: Item | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return sameValue({ M: withoutReplicationAttributes(one) }, { M: withoutReplicationAttributes(other) });
}
