import type { Clock } from '@edge-migration/runtime/clock.ts';
import { CONTENTION } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import {
  areRowsApart,
  executeStep,
  isEdgeBorn,
  planUnstorable,
  remove,
  type Step,
  update,
  updatePart,
} from './convergence-step.ts';
import type { Core } from './core/core.ts';
import type { CoreEnvironment } from './core/identity.ts';
import { compositeKey, type EncodedDocument, type Item, type SkippedIdentity } from './edge/document/document.ts';
import {
  compareDocuments,
  type Difference,
  EVERYTHING,
  findAllOfCore,
  findMissingTraits,
  findOverridesOfCore,
  NOTHING_TOUCHED,
  type Pending,
  type Touched,
} from './edge/merge.ts';
import { isDocumentOf, keyTaken } from './edge/ownership.ts';
import type { EdgeCallOptions, EdgeStore } from './edge/table/table.ts';
import { type Encoded, isSameReading, type Reading, readPlace, type UnstorableIdentity } from './place-reading.ts';

/** The two stores that are made to agree. */
export interface Stores {
  core: Core;
  edge: EdgeStore;
  clock: Clock;
}

/**
 * Whose document is at stake: an identifier under a client key that the environment has or had, whether Core has the
 * identity or not. Which of the two keys it is, is asked of Core together with the identity.
 */
export interface Subject {
  environment: CoreEnvironment;
  identifier: string;
}

/**
 * What keeps writes from being carried out when their sender cannot see to what comes of them any more (docs/design.md,
 * "Convergence", rule 9): until when they may be sent, and who is told of those that may come late.
 */
export interface Fence extends Pick<EdgeCallOptions, 'deadline' | 'lost'> {
  /** Told of each write that was carried out, be it of rows of overrides alone, whatever comes of the rest. */
  readonly wrote?: (() => void) | undefined;
}

/** What was found or done; each is counted. */
export type ConvergeOutcome =
  /** Core has it, Edge had not. */
  | 'inserted'
  /** What was touched differed and now agrees. */
  | 'updated'
  | 'unchanged'
  /** Edge had the document of an identity that Core has deleted and created again. */
  | 'replaced'
  | 'deleted'
  /** Core has no such identity, and the document was created on Edge. */
  | 'keptEdgeBorn'
  /** Neither has it. */
  | 'absent'
  /** Core's rows cannot be stored in Edge, or another identity's document has their key. */
  | 'unstorable';

export interface Convergence {
  outcome: ConvergeOutcome;
  /** Why an identity is `unstorable`. */
  skipped?: SkippedIdentity;
  /** Of an `unstorable` identity: what of it Edge cannot follow now. */
  pending?: Pending;
  /** Of an `unstorable` identity of which a part was written: the document as it was left; `{}`: it was deleted. */
  written?: Item;
  /** The environment does not have the key now: the live environment that has, if any. */
  former?: { holder: number | undefined };
  /** The document as it was left; absent when there is none. */
  document?: Item;
  /** The document that Core's rows make, with which Edge agrees now; absent when Core has none, or none to be stored. */
  core?: Item;
}

/** Somebody else changed the document, or Core the identity, every time that we looked. */
export class ConvergenceContentionError extends Error {
  override readonly name = 'ConvergenceContentionError';
  readonly disposition = 'conflict';
}

/**
 * Makes Edge agree with Core about one identity, for exactly what was touched (docs/design.md, "Convergence", rule 1).
 *
 * Edge is read first, then Core; the write is conditional on Edge being as it was read, and after it Core is read
 * again: as long as Core changed meanwhile, it is done again. Any number of these may run for one identity at the same
 * time, in any process, be killed or frozen anywhere and be repeated. A document of another identity under the same key
 * is left alone.
 *
 * @throws ConvergenceContentionError, DeadlinePassedError by the fence, and the errors of the two stores
 */
export async function converge(
  stores: Stores,
  subject: Subject,
  touched: Touched,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<Convergence> {
  const syncRows = touched.overrides === 'all' || touched.overrides.size > 0;
  return convergeOnce(stores, subject, { signal, syncRows, touched, ...fence }, undefined, {
    whole: async (edge, core) => {
      if (core !== undefined) {
        const spared = await spareOthers(stores, touched, edge, core, signal);
        return { ...update(edge, core, spared), touched: spared };
      }
      await confirmAbsence(stores, subject, edge, signal);
      return remove(edge);
    },
    gone: remove,
    part: async (edge, unstorable) => {
      const item = unstorable.part?.item;
      const spared = item === undefined ? touched : await spareOthers(stores, touched, edge, item, signal);
      return { ...updatePart(edge, unstorable, spared), touched: spared };
    },
  });
}

/**
 * Before a document goes because Core has no identity of this name, Core is asked by id: its index may miss it.
 *
 * @throws CoreUnsupportedError when it does; ConvergenceContentionError when the identity has come back
 */
async function confirmAbsence(
  { core }: Stores,
  { environment, identifier }: Subject,
  edge: Item | undefined,
  signal: AbortSignal,
): Promise<void> {
  const id = Number(edge?.['django_id']?.N);
  if (!Number.isSafeInteger(id)) return;
  if ((await core.identities.presentById(environment.id, [{ id, identifier }], signal)).length === 0) return;
  throw new ConvergenceContentionError(
    `environment ${environment.id}: identity ${id} has come back; tried again later`,
  );
}

/**
 * Of all overrides, those that Core has or had: what an Edge client alone has set is none of its business. A deleted
 * override's row stays in Core, and whatever came from a row of Core's has the row's id in Edge.
 */
async function spareOthers(
  { core, edge }: Stores,
  touched: Touched,
  found: Item | undefined,
  wanted: Item,
  signal: AbortSignal,
): Promise<Touched> {
  if (touched.overrides !== 'all' || found === undefined) return touched;
  // Asked only where something would go, or a row may be left that the document does not tell of.
  const mayBeLeft = edge.commit !== undefined && areRowsApart(edge);
  if (!mayBeLeft && !compareDocuments(found, wanted)?.extraOverrides) return touched;
  const overrides = await core.identities.overriddenFeatures(wanted['django_id']?.N ?? '', signal);
  return { ...touched, overrides: new Set([...overrides, ...findOverridesOfCore(found)]) };
}

export interface ConflictOutcome {
  outcome: 'equal' | 'kept' | 'merged' | 'replaced' | 'inserted' | 'gone' | 'unstorable';
  /** How the document differed from Core when it was found; absent when it did not. */
  difference?: Difference;
  /** The document was created on Edge. */
  edgeBorn: boolean;
  skipped?: SkippedIdentity;
}

/**
 * The copy found a document of the same key in Edge (docs/design.md, "Convergence", rule 2). The page in the worker's
 * hand is not used: Core is read again, by the same protocol as in {@link converge}.
 *
 * `KeepEdge` leaves a document of this very identity as it is, and adds to one born on Edge only the traits that it
 * lacks. `CoreWins` sets every trait and override that Core has. Both leave what only Edge has.
 *
 * @param existing the document, when it was just read
 * @throws as {@link converge}
 */
export async function resolveConflict(
  stores: Stores,
  { onConflict, ...subject }: Subject & { onConflict: 'KeepEdge' | 'CoreWins' },
  existing: Item | undefined,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<ConflictOutcome> {
  let difference: Difference | undefined;
  let edgeBorn = false;
  const { outcome, skipped } = await convergeOnce(stores, subject, { signal, syncRows: true, ...fence }, existing, {
    // Renamed meanwhile, and that has an event, too.
    gone: (edge) => ({ outcome: 'absent', after: edge }),
    whole: (edge, core) => {
      // Deleted meanwhile: replay handles the event of that deletion.
      if (core === undefined) return { outcome: 'absent', after: edge };
      edgeBorn = edge !== undefined && isEdgeBorn(edge);
      difference ??= edge && compareDocuments(edge, core);
      return update(edge, core, chooseTouched(onConflict, edge, core));
    },
    part: planUnstorable,
  });
  return {
    outcome: nameConflict(outcome, difference),
    edgeBorn,
    ...(difference === undefined ? {} : { difference }),
    ...(skipped === undefined ? {} : { skipped }),
  };
}

function chooseTouched(onConflict: 'KeepEdge' | 'CoreWins', edge: Item | undefined, core: Item): Touched {
  if (edge === undefined) return NOTHING_TOUCHED;
  if (onConflict === 'CoreWins') return findAllOfCore(core);
  return isEdgeBorn(edge) ? findMissingTraits(edge, core) : NOTHING_TOUCHED;
}

function nameConflict(outcome: ConvergeOutcome, difference: Difference | undefined): ConflictOutcome['outcome'] {
  switch (outcome) {
    case 'unchanged':
      return difference === undefined ? 'equal' : 'kept';
    case 'updated':
      return 'merged';
    case 'inserted':
    case 'replaced':
    case 'unstorable':
      return outcome;
    case 'absent':
    case 'deleted':
    case 'keptEdgeBorn':
      return 'gone';
  }
}

/** What to do; undefined: that store does not have the identity. */
interface Choose {
  /** The document is under a key that is not the environment's any more. */
  gone(edge: Item | undefined): Step;
  /** Both as DynamoDB documents. */
  whole(edge: Item | undefined, core: Item | undefined): Step | Promise<Step>;
  /** Where no document can hold what Core has. */
  part(edge: Item | undefined, unstorable: UnstorableIdentity): Step | Promise<Step>;
}

/** Reads both, chooses, writes conditionally and confirms; until nothing moved in between. */
async function convergeOnce(
  stores: Stores,
  { environment, identifier }: Subject,
  options: { signal: AbortSignal; syncRows: boolean; touched?: Touched } & Fence,
  existing: Item | undefined,
  choose: Choose,
): Promise<Convergence> {
  const { edge, clock } = stores;
  const { signal, wrote, ...how } = options;
  const key = compositeKey(environment.apiKey, identifier);
  const place = { environment, identifier };
  let known = existing;
  let moved: ConvergenceContentionError | undefined;

  async function settleOnce(): Promise<Convergence> {
    const found = known ?? (await edge.identities.get(key, { signal }));
    known = undefined;
    const reading = await readPlace(stores, place, signal);
    const { encoded } = reading;
    signal.throwIfAborted();
    if (found !== undefined && !isDocumentOf(found, { apiKey: environment.apiKey, identifier })) {
      return withFormer(leaveToOwner(encoded, environment.id), reading);
    }
    const step = await chooseStep(choose, found, reading);
    const result = await executeStep(edge, found, step, { environmentId: environment.id, clock, signal, ...how });
    if (result === 'written') wrote?.();
    const isDone =
      result === 'none' || (result === 'written' && isSameReading(reading, await readPlace(stores, place, signal)));
    if (isDone) return withFormer(describe(encoded, step, environment.id), reading);
    moved ??= new ConvergenceContentionError(
      `environment ${environment.id}: a document changed ${CONTENTION.attempts} times while Edge was made to agree with Core; tried again later`,
    );
    throw moved;
  }

  // What else fails, the stores have tried again, or it is for whoever called.
  return retry(settleOnce, { policy: CONTENTION, clock, signal, isWorthIt: (error) => error === moved });
}

/**
 * Under a key that no environment has any more, Core has no identities. Under one that another environment has,
 * documents are that one's, but for what Core proves to be of this identity.
 */
function chooseStep(choose: Choose, found: Item | undefined, { encoded, former }: Reading): Step | Promise<Step> {
  if (former !== undefined) {
    const isOurs = former.identityId !== undefined && found?.['django_id']?.N === String(former.identityId);
    return former.holder === undefined || isOurs ? choose.gone(found) : { outcome: 'absent', after: found };
  }
  return encoded?.kind === 'skipped' ? choose.part(found, encoded) : choose.whole(found, encoded?.item);
}

function withFormer(convergence: Convergence, { former }: Reading): Convergence {
  return former === undefined ? convergence : { ...convergence, former: { holder: former.holder } };
}

/** Edge has no document of this identity, and cannot have one while another identity's is in its place. */
function leaveToOwner(encoded: Encoded | undefined, environmentId: number): Convergence {
  if (encoded === undefined) return { outcome: 'absent' };
  const skipped = encoded.kind === 'skipped' ? describeSkip(encoded) : keyTaken(environmentId, idOf(encoded));
  return { outcome: 'unstorable', skipped, pending: EVERYTHING };
}

function describe(
  encoded: Encoded | undefined,
  { outcome, pending, write, after }: Step,
  environmentId: number,
): Convergence {
  const left = after && { document: after };
  const part = { ...left, ...(pending && { pending }), ...(write && { written: after ?? {} }) };
  if (encoded?.kind === 'skipped') return { outcome, skipped: describeSkip(encoded), ...part };
  if (encoded === undefined || pending === undefined)
    return { outcome, ...left, ...(encoded && { core: encoded.item }) };
  // Each can be stored, but not both together.
  const detail = "Core's traits and overrides do not fit beside those that only Edge has";
  const skipped: SkippedIdentity = {
    ...{ kind: 'skipped', environmentId, identityId: idOf(encoded), reason: 'DocumentTooLarge', detail },
  };
  return { outcome, skipped, ...part };
}

const idOf = ({ item }: EncodedDocument) => Number(item['django_id']?.N);

const describeSkip = ({ part: _, ...skipped }: UnstorableIdentity): SkippedIdentity => skipped;
