/**
 * Rows of overrides on tables in two regions with eventual consistency, small enough to try every interleaving
 * (docs/design.md, "Convergence", rule 10).
 *
 * One identity with one override. A document and its row are written in one transaction and replicated one by one; the
 * latest write wins for each. A row's key contains the document's uuid, and an Edge client that creates the document
 * elsewhere at the same time gives it another one. Edge clients of the other region write the document, and afterwards
 * its row. An event is handled, and a check made, in one step, as in protocol-model-regions.ts.
 */

import { agrees, converge, type RowRules } from './protocol-model-regions-rows-convergence.ts';
import {
  arrive,
  type Change,
  CLIENT,
  type Core,
  type Document,
  type Items,
  type Look,
  normalize,
  otherThan,
  type Region,
  type State,
  same,
  store,
  type What,
} from './protocol-model-regions-rows-state.ts';

export interface RegionRowRules extends RowRules {
  /** `roundTrip`: a check waits for replicas on their way there, and then for those on their way back. */
  readonly waits: 'roundTrip' | 'not';
  /** A check covers every region, and is complete only when all agree. */
  readonly looksEverywhere: boolean;
  /** It compares the rows of touched overrides, too. */
  readonly looksAtRows: boolean;
  /** `either`: each event is handled, and each check made, in either of the two. */
  readonly writesIn: 'home' | 'either';
}

export const ALL_REGION_ROW_RULES: RegionRowRules = {
  comparesRows: true,
  removesLeft: true,
  removesInserted: true,
  copyRemoves: true,
  copyRestores: false,
  leavesTrace: true,
  waits: 'roundTrip',
  looksEverywhere: false,
  looksAtRows: true,
  writesIn: 'home',
};

/**
 * `c`, `d` create, with an override, and delete in Core; `1`, `2`, `u` set and remove the override there. A client of
 * the other region: `e` writes its document, which creates a missing one, `o` sets the override in it, and puts its row
 * at once, `O` later.
 */
const SCENARIOS = [
  ...['1', '2', 'u', 'd', 'c', 'e', 'ce', 'ec', '2e', 'ue', 'de', 'o', 'O', 'O2', 'Ou', 'od', '2O', 'uO', 'do'],
  ...['cd', 'cue', 'ceu', 'c2e', 'dce', 'dec', 'edc', 'e2u', 'oed', 'uod'],
] as const;

export interface RegionRowExploration {
  readonly states: number;
  /** Runs with a wrong end state. */
  readonly violations: readonly string[];
}

/** Tries every order of steps in every scenario, from every beginning. */
export function exploreRegionRows(
  rules: RegionRowRules,
  scenarios: readonly string[] = SCENARIOS,
): RegionRowExploration {
  let states = 0;
  const violations = new Set<string>();
  for (const start of scenarios.flatMap((writes) => beginnings(writes, rules))) {
    const seen = new Set<string>();
    const open = [start];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const name = JSON.stringify(state);
      if (seen.has(name)) continue;
      seen.add(name);
      const next = successors(state, rules).map(normalize);
      if (next.length > 0) open.push(...next);
      else for (const what of judge(state, start.writes)) violations.add(`${start.writes}: ${what}`);
    }
    states += seen.size;
  }
  return { states, violations: [...violations] };
}

const NOTHING: Items = {
  document: { value: null, time: 0 },
  ours: { value: 0, time: 0 },
  theirs: { value: 0, time: 0 },
};

/** Nothing anywhere; an identity that both regions have; one that was just copied into the home region. */
function beginnings(writes: string, rules: RegionRowRules): State[] {
  const nothing: State = {
    ...{ core: null, nextId: 2, home: NOTHING, away: NOTHING, replicas: [], writes },
    ...{ events: [], looks: [], clientRow: null, isExposed: false },
  };
  const core: Core = { id: 1, override: 1 };
  const document: Document = { djangoId: 1, uuid: 'ours', override: 1 };
  const whole: Items = { ...NOTHING, document: { value: document, time: 0 }, ours: { value: 1, time: 0 } };
  const copied = store({ ...nothing, core }, 'home', { document, ours: 1 }, false);
  return [
    ...(isPossible(writes, false) ? [nothing] : []),
    ...(isPossible(writes, true)
      ? [{ ...nothing, core, home: whole, away: whole }, lookLater(copied, 'copy', 'home', rules)]
      : []),
  ];
}

function isPossible(writes: string, exists: boolean): boolean {
  let present = exists;
  for (const write of writes) {
    if ('eoO'.includes(write)) continue;
    if (present === (write === 'c')) return false;
    if ('cd'.includes(write)) present = write === 'c';
  }
  return true;
}

function successors(state: State, rules: RegionRowRules): State[] {
  return [...write(state), ...writeRow(state), ...handleEvents(state, rules), ...arrive(state), ...look(state, rules)];
}

function write(state: State): State[] {
  const kind = state.writes[0];
  if (kind === undefined) return [];
  const rest = { ...state, writes: state.writes.slice(1) };
  const withEvent = (core: Core | null, event: 'all' | 'override') => [
    { ...rest, core, events: [...state.events, event].toSorted() },
  ];
  const created: Document = { djangoId: null, uuid: 'theirs', override: 0 };
  const document = state.away.document.value ?? created;
  switch (kind) {
    case 'c':
      return withEvent({ id: state.nextId, override: 1 }, 'all').map((next) => ({ ...next, nextId: state.nextId + 1 }));
    case 'd':
      return withEvent(null, 'all');
    case 'e':
      return [store(rest, 'away', { document }, true)];
    case 'o':
    case 'O': {
      // One client at a time.
      if (state.clientRow !== null) return [];
      const stored = store(rest, 'away', { document: { ...document, override: CLIENT } }, true);
      const begun = { ...stored, clientRow: document.uuid };
      return kind === 'o' ? writeRow(begun) : [begun];
    }
    default:
      return withEvent({ ...state.core!, override: kind === 'u' ? 0 : Number(kind) }, 'override');
  }
}

function writeRow(state: State): State[] {
  const { clientRow } = state;
  return clientRow === null ? [] : [store({ ...state, clientRow: null }, 'away', { [clientRow]: CLIENT }, true)];
}

const writers = ({ writesIn }: RegionRowRules): readonly Region[] =>
  writesIn === 'either' ? ['home', 'away'] : ['home'];

function handleEvents(state: State, rules: RegionRowRules): State[] {
  return [...new Set(state.events)].flatMap((event) =>
    writers(rules).map((at) => {
      const rest = { ...state, events: state.events.toSpliced(state.events.indexOf(event), 1) };
      return lookLater(handle(rest, event, at, rules), event, at, rules);
    }),
  );
}

/** Edge as rule 1 requires it in a region; the same state where it already is. */
function handle(state: State, what: What, at: Region, rules: RegionRowRules): State {
  return converge(state[at], state.core, what, rules).reduce((now, change) => storeOurs(now, at, change), state);
}

function storeOurs(state: State, region: Region, change: Change): State {
  const isOvertaken = state.replicas.some(
    ({ to, item, time, isClients }) => isClients && to === region && time > state[region][item].time,
  );
  const isExposed = state.isExposed || (change.document !== undefined && isOvertaken);
  return store({ ...state, isExposed }, region, change, false);
}

function lookLater(state: State, what: What, at: Region, { waits }: RegionRowRules): State {
  const look: Look =
    waits === 'not' ? { what, at, to: 'none', until: 0 } : awaitReplicas(state, { what, at }, otherThan(at));
  return { ...state, looks: [...state.looks, look] };
}

function awaitReplicas({ replicas }: State, { what, at }: Pick<Look, 'what' | 'at'>, to: Region): Look {
  const times = replicas.filter((replica) => replica.to === to).map(({ time }) => time);
  return { what, at, to, until: Math.max(-1, ...times) };
}

function look(state: State, rules: RegionRowRules): State[] {
  // A client's two writes are closer together than a check waits.
  if (state.clientRow !== null) return [];
  return state.looks.flatMap((one, index): State[] => {
    const { at, to, until, what } = one;
    const rest = { ...state, looks: state.looks.toSpliced(index, 1) };
    if (to !== 'none' && state.replicas.some((replica) => replica.to === to && replica.time <= until)) return [];
    if (to === otherThan(at) && rules.waits === 'roundTrip') {
      return [{ ...rest, looks: [...rest.looks, awaitReplicas(state, one, at)] }];
    }
    // What was copied is checked in the home region.
    return (what === 'copy' ? (['home'] as const) : writers(rules)).flatMap((region) =>
      lookIn(region, rest, what, rules),
    );
  });
}

function lookIn(at: Region, rest: State, what: What, rules: RegionRowRules): State[] {
  const looked = handle(rest, what, at, rules);
  if (looked !== rest) return [lookLater(looked, what, at, rules)];
  const isEverywhere = rules.looksEverywhere && what !== 'copy';
  const isAgreed = !isEverywhere || agrees(rest[at], rest[otherThan(at)], what, rules.looksAtRows);
  // It is retried until something changes.
  return isAgreed ? [rest] : [];
}

/** The faults in the end state of a run. */
function judge(state: State, writes: string): string[] {
  const { core, home, away, isExposed } = state;
  const values = ({ document, ours, theirs }: Items) => [document.value, ours.value, theirs.value];
  if (!same(values(home), values(away))) return ['the regions differ'];
  if (state.looks.length > 0) return ['a look never ends'];
  const document = home.document.value;
  if (core === null && document !== null && document.djangoId !== null) return ['a deleted identity is in Edge'];
  if (core !== null && document === null) return ['an identity is missing in Edge'];
  if (core !== null && document?.djangoId !== null && document?.djangoId !== core.id) {
    return ['Edge has the identity that was deleted before'];
  }
  const isTouched = /[12uc]/.test(writes);
  if (core !== null && isTouched && !/o/i.test(writes) && document?.override !== core.override) {
    return ['the override differs'];
  }
  return (['ours', 'theirs'] as const).flatMap((uuid) => {
    const wanted = document?.uuid === uuid ? document.override : 0;
    const { value } = home[uuid];
    if (value === wanted || (isExposed && value === CLIENT)) return [];
    if (value === 0) return ['a row is missing'];
    return [wanted === 0 ? `a row is left (${uuid})` : 'a row differs'];
  });
}
