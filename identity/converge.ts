import type { Clock } from '@edge-migration/runtime/clock.ts';
import { CONTENTION } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import { executeStep, isEdgeBorn, planUnstorable, remove, type Step, update, updatePart } from './convergence-step.ts';
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
import { type Encoded, isSameReading, type Reading, readPlace, type SkippedWithPart } from './place-reading.ts';
import { areRowsApart } from './row-plan.ts';

/** The two stores that are made to agree. */
export interface Stores {
  core: Core;
  edge: EdgeStore;
  clock: Clock;
}

/**
 * The identity to converge: an identifier under a client key that the environment has or had, whether or not Core
 * has the identity. Core is asked for the identity and for the state of its key together.
 */
export interface Subject {
  environment: CoreEnvironment;
  identifier: string;
}

/**
 * Guards against writes that are carried out after their sender has stopped watching them (docs/design.md,
 * "Convergence", rule 9): the deadline for sending, and the record of writes that may arrive late.
 */
export interface Fence extends Pick<EdgeCallOptions, 'deadline' | 'lost'> {
  /** Called for each write that was carried out, even if only of override rows, however the rest turns out. */
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
  /** Of an `unstorable` identity: the part that Edge cannot follow now. */
  pending?: Pending;
  /** Of an `unstorable` identity that was written in part: the document as it was left; `{}`: it was deleted. */
  written?: Item;
  /** The environment does not have the key now: the live environment that has it, if any. */
  former?: { holder: number | undefined };
  /** The document as it was left; absent when there is none. */
  document?: Item;
  /** The document made from Core's rows, which Edge now matches; absent when Core has none, or none to be stored. */
  core?: Item;
  /** Where everything was touched and Core has the identity, what that stands for. */
  touched?: Touched;
}

/** Another writer changed the document, or Core the identity, on every attempt. */
export class ConvergenceContentionError extends Error {
  override readonly name = 'ConvergenceContentionError';
  readonly disposition = 'conflict';
}

/**
 * Makes Edge agree with Core about one identity, for exactly what was touched (docs/design.md, "Convergence", rule 1).
 *
 * Edge is read first, then Core; the write is conditional on Edge being as it was read. Core is read again after it,
 * and everything is repeated as long as Core has changed in between. Any number of these may run for one identity at
 * the same time, in any process, be killed or frozen anywhere and be repeated. A document of another identity under
 * the same key is left alone.
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
 * Before a document is removed because Core has no identity of this name, Core is asked by id: its index may miss it.
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
  throw new ConvergenceContentionError(`environment ${environment.id}: identity ${id} has reappeared; retrying later`);
}

/**
 * Filters overrides down to those that Core has or had: those that only an Edge client has set are left alone. A
 * deleted override's row stays in Core, and every override that came from Core has its row's id in Edge.
 */
async function spareOthers(
  { core, edge }: Stores,
  touched: Touched,
  found: Item | undefined,
  wanted: Item,
  signal: AbortSignal,
): Promise<Touched> {
  if (touched.overrides !== 'all' || found === undefined) return touched;
  // Asked only where something would be removed, or where a row may be left that the document does not mention.
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

interface ConflictSubject extends Subject {
  readonly onConflict: 'KeepEdge' | 'CoreWins';
  /** What was copied is checked again: rows that are missing are on their way, or are removed on purpose. */
  readonly isRecheck?: boolean | undefined;
}

/**
 * The copy found a document with the same key in Edge (docs/design.md, "Convergence", rule 2). The worker's page is
 * not used: Core is read again, by the same protocol as in {@link converge}.
 *
 * `KeepEdge` leaves a document of the same identity as it is, and adds only missing traits to one created on Edge.
 * `CoreWins` sets every trait and override that Core has. Both leave what only Edge has.
 *
 * @param existing the document, when it was just read
 * @throws as {@link converge}
 */
export async function resolveConflict(
  stores: Stores,
  { onConflict, isRecheck = false, ...subject }: ConflictSubject,
  existing: Item | undefined,
  signal: AbortSignal,
  fence: Fence = {},
): Promise<ConflictOutcome> {
  let difference: Difference | undefined;
  let edgeBorn = false;
  const { outcome, skipped } = await convergeOnce(
    stores,
    subject,
    { signal, syncRows: !isRecheck, ...fence },
    existing,
    {
      // Renamed meanwhile, which has an event of its own.
      gone: (edge) => ({ outcome: 'absent', after: edge }),
      whole: (edge, core) => {
        // Deleted meanwhile: replay handles the event of that deletion.
        if (core === undefined) return { outcome: 'absent', after: edge };
        edgeBorn = edge !== undefined && isEdgeBorn(edge);
        difference ??= edge && compareDocuments(edge, core);
        return {
          ...update(edge, core, chooseTouched(onConflict, edge, core)),
          inserted: new Set(findOverridesOfCore(core)),
        };
      },
      part: planUnstorable,
    },
  );
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

/** The action to take; undefined: that store does not have the identity. */
interface Choose {
  /** The document is under a key that no longer belongs to the environment. */
  gone(edge: Item | undefined): Step;
  /** Both as DynamoDB documents. */
  whole(edge: Item | undefined, core: Item | undefined): Step | Promise<Step>;
  /** Set where no document can hold what Core has. */
  part(edge: Item | undefined, unstorable: SkippedWithPart): Step | Promise<Step>;
}

/** Reads both, chooses, writes conditionally and confirms, until nothing has changed in between. */
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
      `environment ${environment.id}: a document changed ${CONTENTION.attempts} times while Edge was made to agree with Core; retrying later`,
    );
    throw moved;
  }

  // The stores have already retried all other failures, or the caller has to handle them.
  return retry(settleOnce, { policy: CONTENTION, clock, signal, isWorthIt: (error) => error === moved });
}

/**
 * Core has no identities under a key that no environment has any more. Documents under a key that another environment
 * has belong to that environment, except where Core proves that they are of this identity.
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

/** Edge has no document of this identity, and cannot have one while another identity's document is in its place. */
function leaveToOwner(encoded: Encoded | undefined, environmentId: number): Convergence {
  if (encoded === undefined) return { outcome: 'absent' };
  const skipped = encoded.kind === 'skipped' ? describeSkip(encoded) : keyTaken(environmentId, idOf(encoded));
  return { outcome: 'unstorable', skipped, pending: EVERYTHING };
}

function describe(
  encoded: Encoded | undefined,
  { outcome, pending, write, after, touched }: Step,
  environmentId: number,
): Convergence {
  const left = { ...(after && { document: after }), ...(touched && { touched }) };
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

const describeSkip = ({ part: _, ...skipped }: SkippedWithPart): SkippedIdentity => skipped;
