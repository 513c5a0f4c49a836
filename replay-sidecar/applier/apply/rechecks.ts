import type { Subject } from '@edge-migration/identity/converge.ts';
import { compositeKey } from '@edge-migration/identity/edge/document/document.ts';
import type { Touched } from '@edge-migration/identity/edge/merge.ts';
import type { Agreement, Here, OtherRegions } from '@edge-migration/identity/edge/other-regions.ts';
import { findTouchedRows } from '@edge-migration/identity/edge/row-agreement.ts';
import type { Admission } from '../admit/admission.ts';
import { findAppliedTime, findHeldIn, isRecheck, type Work } from '../consume/delivery.ts';
import type { Counts } from '../report/counts.ts';

/** What rechecks need to know where Edge's tables are in several regions. */
export interface RecheckOptions {
  admission: Pick<Admission, 'park'>;
  counts: Counts;
  /**
   * Milliseconds after which what was applied is rechecked, because a write in another region may have replaced
   * it; undefined where writes are final.
   */
  recheckDelayMs(): number | undefined;
  /** Whether the project's replay window closed so long ago that rechecks are no longer repeated. */
  isOver(projectId: number): boolean;
  /** The region of Edge that is written. */
  region(): Promise<string>;
  /** Compares a document in other regions with what the region that is written has. */
  elsewhere: OtherRegions['compare'];
  isResting: OtherRegions['isResting'];
  /** Whether Edge is written in a region other than the home region. */
  isAway(): boolean;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
}

/** The result of a recheck: `overtaken` where something had to be written. */
export type RecheckResult = 'overtaken' | Agreement;

const MOST_RECHECK_PAUSE_MS = 300_000;

/** For each so many milliseconds that a recheck waits for another region, it may come a second earlier. */
const ROUNDED_MS = 20_000;

/**
 * How long rechecks continue after the replay window has closed, and after the event was applied, which may have been
 * later: several of them with the usual lag.
 */
export const LAST_RECHECKS_MS = 600_000;

/** How each result of a recheck is counted. */
const COUNTED = { same: 'held', differs: 'elsewhere', unreachable: 'elsewhere', overtaken: 'overtaken' } as const;

/** Reads again what was applied, on tables of several regions (docs/design.md, "Convergence", rule 10). */
export function createRechecks({ admission: pipeline, counts, now, ...options }: RecheckOptions) {
  /** In seconds since the epoch. */
  const dueIn = (pauseMs: number) => Math.ceil((now() + pauseMs) / 1000);

  function later(projectId: number, work: Work, due: number, heldIn?: string): void {
    const appliedTime = findAppliedTime(work.held.message) ?? now();
    pipeline.park(work, projectId, 'repeat', { due, recheck: true, heldIn, appliedTime });
  }

  /**
   * A region may be cut off for hours: the older an event is, the less often it is rechecked.
   *
   * @param heldIn the region that is right while another one is not
   */
  function laterElsewhere(projectId: number, work: Work, pauseMs: number, heldIn?: string): void {
    const longer = Math.min(MOST_RECHECK_PAUSE_MS, (now() - work.observed) / 4);
    // Each second, for each minute in which events began, is a place of its own, and each place is released by itself.
    const step = Math.max(1, Math.floor(longer / ROUNDED_MS));
    later(projectId, work, Math.max(dueIn(pauseMs), Math.floor(dueIn(longer) / step) * step), heldIn);
  }

  /** Edge is the authority by now, and writes that overtake this one no longer count. */
  function isOver(projectId: number, { held }: Work, pauseMs: number): boolean {
    if (!options.isOver(projectId) || options.isAway()) return false;
    const applied = findAppliedTime(held.message);
    return applied === undefined || now() - applied >= pauseMs + LAST_RECHECKS_MS;
  }

  return {
    laterElsewhere,

    /** Events of one identity that need nothing but the state of a region that does not answer now are parked again. */
    async postpone(projectId: number, works: readonly Work[]): Promise<boolean> {
      const pauseMs = options.recheckDelayMs();
      const regions = new Set(works.map(({ held }) => (held.isDoubtful() ? undefined : findHeldIn(held.message))));
      const [region] = regions;
      if (pauseMs === undefined || region === undefined || regions.size > 1) return false;
      if ((await options.region()) !== region || !(await options.isResting(region))) return false;
      for (const work of works) if (work.held.isOpen()) laterElsewhere(projectId, work, pauseMs, region);
      return true;
    },

    /** Compares with the other regions, where that decides whether events are done. */
    async compare(
      { environment, identifier }: Subject,
      works: readonly Work[],
      here: Omit<Here, 'region' | 'rows'> & { readonly region: string | undefined },
      touched: Touched,
    ): Promise<Agreement> {
      const isRechecked = works.some(({ held }) => held.isOpen() && isRecheck(held.message));
      if (!isRechecked || options.recheckDelayMs() === undefined) return 'same';
      const { region } = here;
      // There is no telling which of the two regions the document is from.
      if (region === undefined) return 'unreachable';
      const owner = { apiKey: environment.apiKey, identifier };
      const rows = findTouchedRows(environment.id, owner, here, touched);
      return options.elsewhere(owner, compositeKey(owner.apiKey, identifier), { ...here, region, rows }, touched);
    },

    /**
     * An event is done once a recheck of the document has found nothing to write, in each region that is checked.
     * Repeated writes by Edge clients to the same traits look as if they had overtaken ours: some time after the window has
     * closed, when Edge is the authority, that ends.
     *
     * @param region where it was rechecked; undefined where that is unknown
     */
    finish(projectId: number, work: Work, found: RecheckResult, region: string | undefined): void {
      const pauseMs = options.recheckDelayMs() ?? 0;
      if (!isRecheck(work.held.message)) {
        later(projectId, work, dueIn(pauseMs));
        return;
      }
      counts.of(projectId).rechecks[COUNTED[found]] += 1;
      if (found === 'same' || (found === 'overtaken' && isOver(projectId, work, pauseMs))) work.held.ack();
      else if (found === 'overtaken') later(projectId, work, dueIn(pauseMs));
      else laterElsewhere(projectId, work, pauseMs, region);
    },

    /**
     * Listing an environment's documents waits for the home region: others may lack some of its documents.
     *
     * @returns milliseconds until it is retried; undefined where it need not wait
     */
    pauseForHome: (work: Work) => (listsEdge(work) && options.isAway() ? options.recheckDelayMs() : undefined),
  };
}

export type Rechecks = ReturnType<typeof createRechecks>;

/** Whether this page of a fan-out lists Edge's documents. */
function listsEdge({ resolution, cursor }: Work): boolean {
  return resolution.kind === 'environment' && (resolution.isGone || cursor?.from === 'edge');
}
