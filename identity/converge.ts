import type { Clock } from './clock.ts';
import { carryOut, giveUp, isEdgeBorn, remove, type Step, update, updatePart } from './convergence-step.ts';
import type { Core } from './core/database.ts';
import { readOverriddenFeatures } from './core/environments.ts';
import type { CoreEnvironment, CoreIdentity } from './core/identity.ts';
import { findPresentById } from './core/order.ts';
import { type IdentityPlace, readIdentity } from './core/pages.ts';
import type { CoreRelease } from './core/release.ts';
import {
  compositeKey,
  type EncodedDocument,
  encodeIdentity,
  type Item,
  type SkippedIdentity,
} from './edge/document.ts';
import { type DocumentPart, encodePart } from './edge/document-part.ts';
import { sameValue } from './edge/document-reader.ts';
import {
  compareDocuments,
  type Difference,
  EVERYTHING,
  findAllOfCore,
  findMissingTraits,
  findOverridesOfCore,
  NOTHING,
  type Pending,
  type Touched,
} from './edge/merge.ts';
import { isDocumentOf, keyTaken } from './edge/ownership.ts';
import type { EdgeTables } from './edge/table.ts';

/** The two stores that are made to agree. */
export interface Stores {
  core: Core;
  release: CoreRelease;
  edge: EdgeTables;
  clock: Clock;
  /** One identity of Core as it is after this call; by a statement of its own when left out, see shared-stores.ts. */
  readIdentity?(place: IdentityPlace, signal: AbortSignal): Promise<CoreIdentity | undefined>;
}

/** Whose document is at stake: an identifier of a live environment, whether Core has the identity or not. */
export interface Subject {
  environment: CoreEnvironment;
  identifier: string;
  /** The environment is deleted, or has another key by now: as if Core had none of its identities. */
  isGone?: boolean;
}

/** What was found or done; each is counted. */
export type Outcome =
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
  outcome: Outcome;
  /** Why an identity is `unstorable`. */
  skipped?: SkippedIdentity;
  /** Of an `unstorable` identity: what of it Edge cannot follow now. */
  pending?: Pending;
  /** The document that Core's rows make, with which Edge agrees now; absent when Core has none, or none to be stored. */
  core?: Item;
}

/** An identity that a document cannot hold as a whole, and what it can hold of it. */
export interface Unstorable extends SkippedIdentity {
  readonly part: DocumentPart | undefined;
}

type Encoded = EncodedDocument | Unstorable;

/** Somebody else changed the document, or Core the identity, every time that we looked. Worth trying again later. */
export class ConvergenceContention extends Error {
  override readonly name = 'ConvergenceContention';
}

const ATTEMPTS = 30;
const LONGEST_PAUSE_MILLISECONDS = 500;

/**
 * Makes Edge agree with Core about one identity, for exactly what was touched (docs/design.md, "Convergence", rule 1).
 *
 * Edge is read first, then Core; the write is conditional on Edge being as it was read, and after it Core is read
 * again: as long as Core changed meanwhile, it is done again. Any number of these may run for one identity at the same
 * time, in any process, be killed or frozen anywhere and be repeated. A document of another identity under the same key
 * is left alone.
 *
 * @throws ConvergenceContention, and the errors of the two stores
 */
export async function converge(
  stores: Stores,
  subject: Subject,
  touched: Touched,
  signal: AbortSignal,
): Promise<Convergence> {
  const syncRows = touched.overrides === 'all' || touched.overrides.size > 0;
  return settle(stores, subject, { signal, syncRows }, undefined, {
    whole: async (edge, core) => {
      if (core !== undefined) return update(edge, core, await spareOthers(stores, touched, edge, core, signal));
      await confirmAbsence(stores, subject, edge, signal);
      return remove(edge);
    },
    part: async (edge, unstorable) => {
      const item = unstorable.part?.item;
      const spared = item === undefined ? touched : await spareOthers(stores, touched, edge, item, signal);
      return updatePart(edge, unstorable, spared);
    },
  });
}

/**
 * Before a document goes because Core has no identity of this name, Core is asked by id: its index may miss it.
 *
 * @throws CoreUnsupported when it does; ConvergenceContention when the identity has come back
 */
async function confirmAbsence(
  { core }: Stores,
  { environment, identifier, isGone }: Subject,
  edge: Item | undefined,
  signal: AbortSignal,
): Promise<void> {
  const id = Number(edge?.['django_id']?.N);
  if (isGone || !Number.isSafeInteger(id)) return;
  if ((await findPresentById(core, environment.id, [{ id, identifier }], signal)).length === 0) return;
  throw new ConvergenceContention(`environment ${environment.id}: identity ${id} has come back; tried again later`);
}

/**
 * Of all overrides, those that Core has or had: what an Edge client alone has set is none of its business. A deleted
 * override's row stays in Core, and one whose row was given to another identity or feature has the row's id in Edge. Of
 * releases that delete rows nobody can tell, and what Core lacks goes.
 */
async function spareOthers(
  { core, release }: Stores,
  touched: Touched,
  found: Item | undefined,
  wanted: Item,
  signal: AbortSignal,
): Promise<Touched> {
  if (touched.overrides !== 'all' || !release.overrideSoftDelete || found === undefined) return touched;
  // Asked only where something would go.
  if (!compareDocuments(found, wanted)?.extraOverrides) return touched;
  const overrides = await readOverriddenFeatures(core, wanted['django_id']?.N ?? '', signal);
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
 * hand is not used: Core is read anew, by the same protocol as in {@link converge}.
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
): Promise<ConflictOutcome> {
  let difference: Difference | undefined;
  let edgeBorn = false;
  const { outcome, skipped } = await settle(stores, subject, { signal, syncRows: true }, existing, {
    whole: (edge, core) => {
      // Deleted meanwhile: the event of that deletion is handled by whoever replays.
      if (core === undefined) return { outcome: 'absent', after: edge };
      edgeBorn = edge !== undefined && isEdgeBorn(edge);
      difference ??= edge && compareDocuments(edge, core);
      return update(edge, core, chooseTouched(onConflict, edge, core));
    },
    part: giveUp,
  });
  return {
    outcome: nameConflict(outcome, difference),
    edgeBorn,
    ...(difference === undefined ? {} : { difference }),
    ...(skipped === undefined ? {} : { skipped }),
  };
}

function chooseTouched(onConflict: 'KeepEdge' | 'CoreWins', edge: Item | undefined, core: Item): Touched {
  if (edge === undefined) return NOTHING;
  if (onConflict === 'CoreWins') return findAllOfCore(core);
  return isEdgeBorn(edge) ? findMissingTraits(edge, core) : NOTHING;
}

function nameConflict(outcome: Outcome, difference: Difference | undefined): ConflictOutcome['outcome'] {
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
  /** Both as DynamoDB documents. */
  whole(edge: Item | undefined, core: Item | undefined): Step | Promise<Step>;
  /** Where no document can hold what Core has. */
  part(edge: Item | undefined, unstorable: Unstorable): Step | Promise<Step>;
}

/** Reads both, chooses, writes conditionally and confirms; until nothing moved in between. */
async function settle(
  stores: Stores,
  { environment, identifier, isGone }: Subject,
  options: { signal: AbortSignal; syncRows: boolean },
  existing: Item | undefined,
  choose: Choose,
): Promise<Convergence> {
  const { core, release, edge, clock } = stores;
  const { signal } = options;
  const key = compositeKey(environment.apiKey, identifier);
  const place = { environmentId: environment.id, identifier };
  const read = async (): Promise<Encoded | undefined> => {
    if (isGone) return undefined;
    const identity = await (stores.readIdentity?.(place, signal) ?? readIdentity(core, release, place, signal));
    const encoded = identity && encodeIdentity(identity, environment, release);
    return encoded?.kind === 'skipped' ? { ...encoded, part: encodePart(identity!, environment, release) } : encoded;
  };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 1) await pause(clock, attempt, signal);
    const found = attempt === 0 && existing !== undefined ? existing : await edge.identities.get(key, { signal });
    const encoded = await read();
    signal.throwIfAborted();
    if (found !== undefined && !isDocumentOf(found, { apiKey: environment.apiKey, identifier })) {
      return leaveToOwner(encoded, environment.id);
    }
    const isPart = encoded?.kind === 'skipped';
    const step = isPart ? await choose.part(found, encoded) : await choose.whole(found, encoded?.item);
    const result = await carryOut(edge, found, step, { environmentId: environment.id, clock, ...options });
    const isDone = result === 'none' || (result === 'written' && isSame(encoded, await read()));
    if (isDone) return describe(encoded, step, environment.id);
  }
  throw new ConvergenceContention(
    `environment ${environment.id}: a document changed ${ATTEMPTS} times while Edge was made to agree with Core; tried again later`,
  );
}

/** Edge has no document of this identity, and cannot have one while another identity's is in its place. */
function leaveToOwner(encoded: Encoded | undefined, environmentId: number): Convergence {
  if (encoded === undefined) return { outcome: 'absent' };
  const skipped = encoded.kind === 'skipped' ? describeSkip(encoded) : keyTaken(environmentId, idOf(encoded));
  return { outcome: 'unstorable', skipped, pending: EVERYTHING };
}

function describe(encoded: Encoded | undefined, { outcome, pending }: Step, environmentId: number): Convergence {
  if (encoded?.kind === 'skipped') return { outcome, skipped: describeSkip(encoded), ...(pending && { pending }) };
  if (encoded === undefined || pending === undefined) return { outcome, ...(encoded && { core: encoded.item }) };
  // Each can be stored, but not both together.
  const detail = "Core's traits and overrides do not fit beside those that only Edge has";
  const skipped: SkippedIdentity = {
    ...{ kind: 'skipped', environmentId, identityId: idOf(encoded), reason: 'DocumentTooLarge', detail },
  };
  return { outcome, skipped, pending };
}

const idOf = ({ item }: EncodedDocument) => Number(item['django_id']?.N);

const describeSkip = ({ part: _, ...skipped }: Unstorable): SkippedIdentity => skipped;

function isSame(before: Encoded | undefined, after: Encoded | undefined): boolean {
  if (before?.kind === 'document' && after?.kind === 'document') {
    return sameValue({ M: before.item }, { M: after.item });
  }
  if (before?.kind !== 'skipped' || after?.kind !== 'skipped') return before === after;
  return before.identityId === after.identityId && isSamePart(before.part, after.part);
}

function isSamePart(before: DocumentPart | undefined, after: DocumentPart | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  const isSameLeft =
    sameKeys(before.left.traits, after.left.traits) && sameKeys(before.left.overrides, after.left.overrides);
  return isSameLeft && sameValue({ M: before.item }, { M: after.item });
}

function sameKeys(one: Pending['traits'], other: Pending['traits']): boolean {
  if (one === 'all' || other === 'all') return one === other;
  return one.symmetricDifference(other).size === 0;
}

function pause(clock: Clock, attempt: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MILLISECONDS, 5 * 2 ** attempt);
  return clock.sleep(Math.random() * longest, signal);
}
