import {
  hasLost,
  isRetaken,
  noteState,
  type StreamPlace,
  type StreamState,
  type Watermarks,
} from '@edge-migration/contract/streams/watermark.ts';
import { describe, expect, test } from 'vitest';

/**
 * An exhaustive model of a stream that loses its end, or is recreated, while events are published and handled, and of
 * who notices: the operator and an applier read it now and then, either may restart, and both may be late. The clock of
 * NATS may be set back, or that of the next leader be behind, and a restarted operator runs on another machine, whose
 * clock is behind, too. Every order of these steps is tried. Each message has its own time, as NATS assigns it.
 */
interface Message extends StreamPlace {
  readonly isHandled: boolean;
}

/** What one process knows of the stream; an applier's knowledge is lost with its process. */
interface Watcher {
  readonly known: Watermarks | undefined;
  readonly hasTold: boolean;
}

interface State {
  readonly created: string;
  readonly messages: readonly Message[];
  readonly last: StreamPlace;
  /** By the clock of NATS. */
  readonly now: number;
  /** By a clock that is never set. */
  readonly elapsed: number;
  /** How far the wall clock of the operator's machine is behind the previous machine's. */
  readonly behind: number;
  readonly clocks: typeof CLOCKS;
  readonly operator: Watcher;
  /** The stored record. */
  readonly record: Watermarks | undefined;
  readonly applier: Watcher;
  /** Places that the appliers have seen and report: the lowest of each time. Each one's last report stays. */
  readonly seen: readonly StreamPlace[];
  readonly left: {
    readonly events: number;
    readonly losses: number;
    readonly remakes: number;
    readonly steps: number;
    readonly restarts: number;
    readonly checks: number;
    readonly pauses: number;
  };
  /** Who knew of a lost, unhandled message, and has not forgotten it. */
  readonly witnesses: readonly ('operator' | 'applier')[];
}

/** The rules of the watchers; each can be left out. */
interface Rules {
  readonly applierChecks: boolean;
  readonly operatorRecords: boolean;
  readonly reportsPlaces: boolean;
  readonly identity: boolean;
  readonly times: boolean;
  readonly history: boolean;
  readonly exact: boolean;
  readonly clock: boolean;
  readonly unknownStep: boolean;
  readonly otherMachine: boolean;
  readonly oldest: boolean;
}
const ALL: Rules = {
  applierChecks: true,
  operatorRecords: true,
  reportsPlaces: true,
  identity: true,
  times: true,
  history: true,
  exact: true,
  clock: true,
  unknownStep: true,
  otherMachine: true,
  oldest: true,
};

/** Milliseconds between two messages; their times are compared with some tolerance. */
const A_WHILE = 2000;
/** Milliseconds without a stored message. */
const LONG = 30_000;
/** How far the clock is set back, several messages, and how far the next operator's machine is behind. */
const CLOCKS = { step: 5000, behind: 20_000 };
/** Both exceed the tolerance that applies without other evidence. */
const FAR_CLOCKS = { step: 25_000, behind: 40_000 };
const NEVER = { wall: 0, monotonic: 0 };
const NOTHING: Watcher = { known: undefined, hasTold: false };
/** The possible steps, and how often each may happen. */
const STILL = { events: 4, losses: 1, remakes: 1, steps: 0, restarts: 2, checks: 3, pauses: 0 };
const STEPPED = { events: 4, losses: 0, remakes: 1, steps: 1, restarts: 1, checks: 2, pauses: 0 };
const STEPPED_FAR = { events: 2, losses: 0, remakes: 1, steps: 1, restarts: 1, checks: 3, pauses: 1 };
const REMADE = { events: 5, losses: 1, remakes: 1, steps: 0, restarts: 1, checks: 2, pauses: 0 };
const START: State = {
  created: 'first',
  messages: [],
  last: { sequence: 0, time: 0 },
  now: 10 * A_WHILE,
  elapsed: 0,
  behind: 0,
  clocks: CLOCKS,
  operator: NOTHING,
  record: undefined,
  applier: NOTHING,
  seen: [],
  left: STILL,
  witnesses: [],
};

/** Without times every message could be as old as any other. */
const placeOf = ({ sequence, time }: StreamPlace, { times }: Rules) => ({ sequence, time: times ? time : 0 });

/** @param behind as {@link State.behind}, for the operator */
function stateOf({ created, messages, last, now, elapsed }: State, rules: Rules, behind = 0): StreamState {
  const oldest = messages.find(({ isHandled }) => !isHandled);
  const moment = { wall: elapsed - behind, monotonic: elapsed };
  const time = rules.clock ? now : last.time;
  return {
    created: rules.identity ? created : 'any',
    last: placeOf(last, rules),
    oldest: oldest && placeOf(oldest, rules),
    time: rules.times ? time : 0,
    asked: rules.clock ? moment : NEVER,
    answered: rules.clock ? moment : NEVER,
  };
}

function check(watcher: Watcher, state: StreamState, rules: Rules): Watcher {
  const hasTold = watcher.hasTold || (watcher.known !== undefined && hasLost(watcher.known, state));
  const { oldest, ...others } = state;
  const noted = rules.oldest || watcher.known === undefined ? state : { ...others, oldest: undefined };
  return { known: forget(noteState(watcher.known, noted), rules), hasTold };
}

/** What is remembered if a rule is left out. */
function forget(known: Watermarks, { history, exact, unknownStep }: Rules): Watermarks {
  const places = known.places.map(({ stored, ...place }, index) => ({
    ...place,
    ...(exact && stored !== undefined && { stored }),
    ...(!unknownStep && index === 0 && { time: Math.max(stored ?? 0, known.checked?.time ?? 0) }),
  }));
  return { ...known, places: history ? places : places.slice(-1) };
}

/** The operator reads the applier's report last. It may have been written long before or after its own reading. */
function readReport(state: State, rules: Rules): State {
  const { operator, seen } = state;
  const isTold = rules.reportsPlaces && seen.some((place) => operator.known && isRetaken(operator.known, place));
  return { ...state, operator: { ...operator, hasTold: operator.hasTold || isTold } };
}

const isKnown = (known: Watermarks | undefined, { sequence }: StreamPlace) =>
  (known?.places.at(-1)?.sequence ?? 0) >= sequence;

/** The messages after the place are gone. Unread ones are still in the sidecars' spools. */
function lose(state: State, created: string, kept: readonly Message[]): State {
  const gone = state.messages.slice(kept.length);
  const lost = gone.filter(({ isHandled }) => !isHandled);
  const knows = { operator: state.record, applier: state.applier.known };
  const all = ['operator', 'applier'] as const;
  const witnesses = all.filter((name) => lost.some((message) => isKnown(knows[name], message)));
  const { sequence, time } = kept.at(-1) ?? { sequence: 0, time: 0 };
  const last = { sequence, time };
  return pass({ ...state, created, messages: kept, last, witnesses });
}

const pass = (state: State, milliseconds = A_WHILE): State => ({
  ...state,
  now: state.now + milliseconds,
  elapsed: state.elapsed + milliseconds,
});

/** The applier receives the oldest unhandled message. */
function handleNext(state: State, rules: Rules): State | undefined {
  const { messages, applier } = state;
  const index = messages.findIndex(({ isHandled }) => !isHandled);
  const next = messages[index];
  if (next === undefined) return undefined;
  const place = placeOf(next, rules);
  const isTold = rules.applierChecks && applier.known !== undefined && isRetaken(applier.known, place);
  return {
    ...state,
    messages: messages.with(index, { ...next, isHandled: true }),
    seen: report(state.seen, place),
    applier: { ...applier, hasTold: applier.hasTold || isTold },
  };
}

function* steps(state: State, rules: Rules): Generator<State> {
  const { messages, now, left, operator, applier, last } = state;
  if (left.events > 0) {
    const place = { sequence: last.sequence + 1, time: now };
    const stored = [...messages, { ...place, isHandled: false }];
    yield pass({ ...state, messages: stored, last: place, left: { ...left, events: left.events - 1 } });
  }
  if (left.steps > 0) yield { ...state, now: now - state.clocks.step, left: { ...left, steps: 0 } };
  const handled = handleNext(state, rules);
  // Of the messages after a pause, only the oldest is evidence.
  if (left.pauses > 0 && handled === undefined) {
    yield { ...pass(state, LONG), left: { ...left, pauses: left.pauses - 1 } };
  }
  if (handled !== undefined) yield handled;
  if (left.checks > 0) {
    const fewer = { ...left, checks: left.checks - 1 };
    const seen = check(operator, stateOf(state, rules, state.behind), rules);
    yield readReport({ ...state, operator: seen, record: seen.known, left: fewer }, rules);
    yield { ...state, applier: check(applier, stateOf(state, rules), rules), left: fewer };
  }
  if (left.losses > 0 && left.remakes > 0) {
    for (let kept = 0; kept < messages.length; kept++) {
      yield lose({ ...state, left: { ...left, losses: 0 } }, state.created, messages.slice(0, kept));
    }
    // On another machine, whose clock is behind.
    yield { ...lose({ ...state, left: { ...left, remakes: 0 } }, 'second', []), now: 0 };
  }
  if (left.restarts > 0) {
    const fewer = { ...left, restarts: left.restarts - 1 };
    // What a process has reported is in its last report, or in the status.
    const known = rules.operatorRecords ? state.record && readRecord(state.record, rules) : undefined;
    yield { ...state, operator: { ...operator, known }, behind: state.clocks.behind, left: fewer };
    const witnesses = state.witnesses.filter((name) => name !== 'applier');
    yield { ...state, applier: { ...applier, known: undefined }, witnesses, left: fewer };
  }
}

/** The stored form: another machine's monotonic clock says nothing. Without that rule its wall clock is trusted. */
function readRecord({ checked, ...others }: Watermarks, { otherMachine }: Rules): Watermarks {
  if (checked === undefined) return others;
  const { time, wall } = checked;
  return { ...others, checked: { time, wall, ...(!otherMachine && { monotonic: Number.POSITIVE_INFINITY }) } };
}

/** At the end all is handled, both read once more, and the operator reads the applier's report. */
function conclude(state: State, rules: Rules): State {
  let end = state;
  for (let next = handleNext(end, rules); next !== undefined; next = handleNext(end, rules)) end = next;
  const applier = check(end.applier, stateOf(end, rules), rules);
  const operator = check(end.operator, stateOf(end, rules, end.behind), rules);
  return readReport({ ...end, applier, operator }, rules);
}

/** As in witness.ts. */
function report(seen: readonly StreamPlace[], place: StreamPlace): readonly StreamPlace[] {
  const isWith = ({ time }: StreamPlace) => Math.floor(time / (2 * A_WHILE)) === Math.floor(place.time / (2 * A_WHILE));
  const known = seen.find(isWith);
  if (known === undefined) return [...seen, place];
  return known.sequence <= place.sequence ? seen : seen.map((one) => (one === known ? place : one));
}

interface Exploration {
  readonly states: number;
  /** Ends in which a known loss was not reported. */
  readonly missed: number;
  /** Ends in which a loss was reported that did not happen. */
  readonly invented: number;
}

/**
 * Tries every order of steps, or stops at the first end of the wanted kind.
 *
 * @param left possible steps
 */
function explore(
  rules: Rules,
  left: State['left'],
  until?: 'missed' | 'invented',
  clocks: State['clocks'] = CLOCKS,
): Exploration {
  const found = { missed: 0, invented: 0 };
  const known = new Set<string>();
  const open = [{ ...START, clocks, left }];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = JSON.stringify(state);
    if (known.has(key)) continue;
    known.add(key);
    const { operator, applier, left: end } = conclude(state, rules);
    const isTold = operator.hasTold || applier.hasTold;
    if (state.witnesses.length > 0 && !isTold) found.missed += 1;
    if (end.losses === left.losses && end.remakes === left.remakes && isTold) found.invented += 1;
    if (until !== undefined && found[until] > 0) break;
    open.push(...steps(state, rules));
  }
  return { states: known.size, ...found };
}

test('every known loss of a stream is reported, whichever process restarted and whatever was stored since', () => {
  const { states, ...found } = explore(ALL, STILL);
  expect(found).toEqual({ missed: 0, invented: 0 });
  expect(states).toBeGreaterThan(10_000);
});

test.each<[string, Partial<Rules>]>([
  ['the applier compares what it gets with what it knows', { applierChecks: false }],
  ['the operator writes down what it knows', { operatorRecords: false }],
  ['the applier reports what it got', { reportsPlaces: false }],
  ['a stream is known by the time when it was made', { identity: false }],
  ['sequences are compared together with the times of their messages', { times: false }],
  ['more than the last check is remembered', { history: false }],
  ['the time of the last message at a check is remembered as it was', { exact: false }],
])('a loss would be missed unless %s', (_, without) => {
  expect(explore({ ...ALL, ...without }, REMADE, 'missed').missed).toBeGreaterThan(0);
});

test('no loss is invented when the clock of NATS is set back, or that of the next leader is behind', () => {
  const { states, invented } = explore(ALL, STEPPED);
  expect(invented).toBe(0);
  expect(states).toBeGreaterThan(1000);
});

test.each<[string, Partial<Rules>]>([
  ['it is asked what the clock shows, and how long ago the check before was', { clock: false }],
  ['the first check allows for a step before it', { unknownStep: false }],
  ['more than the last check is remembered', { history: false }],
  ['what another process saw is not measured by the clock of this machine', { otherMachine: false }],
])('a loss would be invented when the clock is set back unless %s', (_, without) => {
  expect(explore({ ...ALL, ...without }, STEPPED, 'invented').invented).toBeGreaterThan(0);
});

describe('clocks set back, and another machine behind, by more than the tolerance', () => {
  // Handled messages, which an applier reports, are vouched for by that allowance alone.
  const rules = { ...ALL, reportsPlaces: false };

  test('invent no loss if the oldest message shows that there was a later time', () => {
    const { states, invented } = explore(rules, STEPPED_FAR, undefined, FAR_CLOCKS);
    expect(invented).toBe(0);
    expect(states).toBeGreaterThan(1000);
  });

  test('would invent a loss if the oldest message were not trusted', () => {
    expect(explore({ ...rules, oldest: false }, STEPPED_FAR, 'invented', FAR_CLOCKS).invented).toBeGreaterThan(0);
  });
});
