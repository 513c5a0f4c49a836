import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { FAILOVER_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { chooseFailover, type FailoverChoice, type FailoverSettings } from './choose-failover.ts';
import { compositeKey } from './document/document.ts';
import type { OtherRegions, RegionReader } from './other-regions.ts';
import type { EdgeCallOptions, EdgeStore, Silence } from './table/table.ts';
import { WrittenElsewhere } from './written-elsewhere.ts';

/** The state while another region than the home region is written. */
export interface Away {
  readonly region: string;
  /** The home region. */
  readonly home: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** The reason, for people. */
  readonly reason: string;
}

export interface FailoverOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the written region refuses what this process wants to write. */
  isRefused(): boolean;
}

const CHECKING = 'checking';
const AWAITING = 'awaiting';

/**
 * Chooses the region that is written (docs/design.md, "Convergence", rule 10). Each process chooses for itself: their
 * writes in different regions are like clients' writes in several regions, which later checks cover.
 */
export class Failover {
  private readonly edge: EdgeStore;
  private readonly regions: Pick<OtherRegions, 'readers'>;
  private readonly settings: FailoverSettings;
  private readonly options: FailoverOptions;
  private present: Away | undefined;
  /** While another region is written: since when the home region has not answered, or had not when it was left. */
  private silent: Moment | undefined;
  /** Since when it answers again. */
  private answering: Moment | undefined;
  /** Since when the written region, other than the home region, has refused writes. */
  private refused: Moment | undefined;
  private readonly written = new WrittenElsewhere();
  /** The last message about each region and about failing checks: each is logged once. */
  private readonly said = new Map<string, string>();

  constructor(
    edge: EdgeStore,
    regions: Pick<OtherRegions, 'readers'>,
    settings: FailoverSettings,
    options: FailoverOptions,
  ) {
    this.edge = edge;
    this.regions = regions;
    this.settings = settings;
    this.options = options;
  }

  /** Undefined while the home region is written. */
  away(): Away | undefined {
    return this.present;
  }

  /** A document was written. It is looked for in the home region before that region is written again. */
  wrote(key: string): void {
    if (this.present !== undefined) this.written.note(key);
  }

  /** Since when the home region does not answer. */
  homeSilence(): Silence | undefined {
    const { silent } = this;
    if (this.present === undefined) return this.edge.silence();
    if (this.answering !== undefined || silent === undefined) return undefined;
    return { since: silent.wall, lastedMs: this.options.clock.monotonic() - silent.monotonic };
  }

  /** Rejects with the signal's reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      // A document that changes all the time is not to be read at the same point of its changes in both regions.
      await this.options.clock.sleep(FAILOVER_POLL_MS * (0.5 + Math.random()), signal);
      try {
        await this.checkRegions(signal);
        this.said.delete(CHECKING);
      } catch (error) {
        signal.throwIfAborted();
        this.warn(CHECKING, { err: error }, 'the region of Edge to write to cannot be determined');
      }
    }
  }

  private warn(about: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.said.get(about) !== message) this.options.logger.warn(fields, message);
    this.said.set(about, message);
  }

  private async checkRegions(signal: AbortSignal): Promise<void> {
    const { clock, isRefused } = this.options;
    if (this.present !== undefined) await this.askHome(signal);
    this.refused = this.present !== undefined && isRefused() ? (this.refused ?? momentOf(clock)) : undefined;
    switch (this.choose()) {
      case 'leave':
        // Its last answer may be old only because nothing has been asked since.
        if ((this.refused !== undefined || !(await answers(this.edge, signal))) && this.choose() === 'leave')
          await this.leave(signal);
        return;
      case 'await':
        this.written.beginAwaiting();
        return;
      case 'return':
        this.comeBack();
    }
  }

  private choose(): FailoverChoice {
    const { answering, refused, written } = this;
    const { clock, isRefused } = this.options;
    return chooseFailover(
      {
        silentSeconds: (this.edge.silence()?.lastedMs ?? 0) / 1000,
        isAway: this.present !== undefined,
        answeringSeconds: answering && leastSince(clock, answering) / 1000,
        awaited: written.left,
        isRefused: written.isBlind || (written.isEmpty && isRefused()),
        refusedSeconds: refused === undefined ? 0 : leastSince(clock, refused) / 1000,
      },
      this.settings,
    );
  }

  private async askHome(signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    const [home] = await this.regions.readers();
    if (!(await answers(home!.edge, signal))) {
      if (this.answering !== undefined) this.silent = momentOf(clock);
      this.answering = undefined;
      this.written.stopAwaiting();
      return;
    }
    this.answering ??= momentOf(clock);
    if (this.written.left === undefined) return;
    try {
      await this.written.find(home!.edge, this.edge, signal);
      this.said.delete(AWAITING);
    } catch (error) {
      signal.throwIfAborted();
      // The written region may have become silent, and has to be left.
      this.warn(
        AWAITING,
        { err: error },
        'the home region cannot be checked for writes that were made in another region',
      );
    }
  }

  /** Moves to the next listed region that answers and has the same table, or from a silent one to the home region. */
  private async leave(signal: AbortSignal): Promise<void> {
    const [home, ...others] = await this.regions.readers();
    const present = this.present?.region ?? home!.region;
    const at = others.findIndex(({ region }) => region === present) + 1;
    // If the present region answers, the home region can be checked for writes made elsewhere, so it is no candidate.
    // A region that answers only now and then would pass for one that has recovered.
    const last = this.refused === undefined ? [home!] : [];
    const order = [...others.slice(at), ...others.slice(0, at), ...last].filter(({ region }) => region !== present);
    for (const candidate of order) {
      if (!(await this.isReplica(candidate, home!.region, signal))) continue;
      if (candidate === home) this.comeBack();
      else this.goTo(candidate.region, home!.region);
      return;
    }
  }

  private async isReplica({ region, edge: tables }: RegionReader, home: string, signal: AbortSignal): Promise<boolean> {
    try {
      const { identities } = await tables.describe({ signal });
      await askForDocument(tables, { signal });
      // Two regions may have been given one endpoint by mistake.
      if (identities.region === region && tables.regions()?.has(home)) {
        this.said.delete(region);
        return true;
      }
      this.warn(
        region,
        { region, home },
        'Edge is not written in a region whose tables are of another region, or no replicas of the home region',
      );
    } catch (error) {
      signal.throwIfAborted();
      this.warn(region, { err: error, region }, 'Edge cannot be written in another region either');
    }
    return false;
  }

  private goTo(region: string, home: string): void {
    const { clock, logger } = this.options;
    const { since = clock.now(), lastedMs = 0 } = this.edge.silence() ?? {};
    const seconds = (time: number) => `${Math.round(time / 1000)} s`;
    const left = this.present?.region ?? home;
    const reason =
      this.refused === undefined
        ? `${left} has not answered for ${seconds(lastedMs)}`
        : `${left} has refused writes for ${seconds(leastSince(clock, this.refused))}`;
    // The home region may answer already while another region is being left.
    if (this.present === undefined) this.silent = { wall: since, monotonic: clock.monotonic() - lastedMs };
    this.present = { region, home, reason, since: clock.now() };
    this.refused = undefined;
    this.written.stopAwaiting();
    this.edge.goTo(region);
    logger.warn({ region, home, reason }, 'Edge is written in another region');
  }

  private comeBack(): void {
    const { region: from, home: region } = this.present ?? {};
    this.options.logger.warn({ region, from }, 'Edge is written in the home region again');
    this.present = undefined;
    this.answering = undefined;
    this.refused = undefined;
    this.written.forget();
    this.edge.goTo(undefined);
  }
}

/** No environment's API key is empty. */
const NO_KEY = compositeKey('', '');

/**
 * Asks for a document that cannot exist, which shows that documents can be read: `DescribeTable` may answer where
 * nothing else does.
 *
 * @throws EdgeError
 */
export async function askForDocument(edge: EdgeStore, call: EdgeCallOptions): Promise<void> {
  await edge.identities.get(NO_KEY, call);
}

/** Any answer counts, even a refusal. */
async function answers(edge: EdgeStore, signal: AbortSignal): Promise<boolean> {
  await askForDocument(edge, { signal, once: true }).catch(() => signal.throwIfAborted());
  return edge.silence() === undefined;
}
