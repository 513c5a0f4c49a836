import { type Convergence, converge, type Stores, type Subject } from '@edge-migration/identity/converge.ts';
import { readIdentity } from '@edge-migration/identity/core/pages.ts';
import { encodeIdentity } from '@edge-migration/identity/edge/document.ts';
import { findAllOfCore, type Touched } from '@edge-migration/identity/edge/merge.ts';

export interface Applied {
  readonly convergence: Convergence;
  /**
   * By event: Core lacks what it touched, and the copy may still hold a page in which it was there; so it is to be
   * handled again when the copy is complete (docs/design.md, "Convergence", rule 3).
   */
  readonly held: readonly boolean[];
}

/**
 * Makes one document agree with Core, for all that several events touched.
 *
 * @param copying whether the copy may still write
 * @throws as {@link converge}
 */
export async function applyEvents(
  stores: Stores,
  subject: Subject,
  events: readonly Touched[],
  copying: boolean,
  signal: AbortSignal,
): Promise<Applied> {
  const convergence = await converge(stores, subject, union(events), signal);
  const none = events.map(() => false);
  if (!copying) return { convergence, held: none };
  if (events.every(isUntouched) && !isGone(convergence)) return { convergence, held: none };
  const present = isGone(convergence) ? undefined : await readPresent(stores, subject, signal);
  return { convergence, held: events.map((touched) => present === undefined || lacks(present, touched)) };
}

function isGone({ outcome }: Convergence): boolean {
  return outcome === 'deleted' || outcome === 'absent' || outcome === 'keptEdgeBorn';
}

/** What of the identity would be in a document; undefined when Core does not have it, or not in a form to be stored. */
async function readPresent(
  { core, release }: Stores,
  { environment, identifier }: Subject,
  signal: AbortSignal,
): Promise<Touched | undefined> {
  const identity = await readIdentity(core, release, { environmentId: environment.id, identifier }, signal);
  const encoded = identity && encodeIdentity(identity, environment, release);
  return encoded?.kind === 'document' ? findAllOfCore(encoded.item) : undefined;
}

function lacks(present: Touched, touched: Touched): boolean {
  return lacksAny(present.traits, touched.traits) || lacksAny(present.overrides, touched.overrides);
}

/** Of `all`, some may be gone. */
function lacksAny(present: Touched['traits'], touched: Touched['traits']): boolean {
  return touched === 'all' || [...touched].some((key) => present !== 'all' && !present.has(key));
}

function isUntouched({ traits, overrides }: Touched): boolean {
  return traits !== 'all' && overrides !== 'all' && traits.size + overrides.size === 0;
}

function union(events: readonly Touched[]): Touched {
  const [only] = events;
  if (only !== undefined && events.length === 1) return only;
  return {
    traits: unionOf(events.map(({ traits }) => traits)),
    overrides: unionOf(events.map((one) => one.overrides)),
  };
}

function unionOf(sets: readonly Touched['traits'][]): Touched['traits'] {
  const all = new Set<string>();
  for (const set of sets) {
    if (set === 'all') return 'all';
    for (const key of set) all.add(key);
  }
  return all;
}
