import {
  hasLost,
  isRetaken,
  noteState,
  type StreamPlace,
  type StreamState,
  type Watermarks,
} from '@edge-migration/replay-sidecar/watermark.ts';
import { expect, test } from 'vitest';

/**
 * An exhaustive model of a stream that loses its end, or is made again, while events are published and handled, and of who
 * notices: the operator and an applier look at it now and then, either may start again, and both may be late. Every
 * order of these steps is tried. Each message has a time of its own, as NATS gives it.
 */
interface Message extends StreamPlace {
  readonly isHandled: boolean;
}

/** What one process knows of the stream; an applier's is lost with its process. */
interface Watcher {
  readonly known: Watermarks | undefined;
  readonly hasTold: boolean;
}

interface State {
  readonly created: string;
  readonly messages: readonly Message[];
  readonly last: StreamPlace;
  readonly now: number;
  readonly published: number;
  readonly operator: Watcher;
  /** As it was written down. */
  readonly record: Watermarks | undefined;
  readonly applier: Watcher;
  /** Which places the appliers have seen; they report them, and the last report of each stays. */
  readonly seen: readonly StreamPlace[];
  readonly left: {
    readonly losses: number;
    readonly remakes: number;
    readonly restarts: number;
    readonly looks: number;
  };
  /** Who knew of a message that is gone and was not handled, and has not forgotten it. */
  readonly witnesses: readonly ('operator' | 'applier')[];
}

/** What the watchers do; each part can be left out. */
interface Rules {
  readonly applierChecks: boolean;
  readonly operatorRecords: boolean;
  readonly reportsPlaces: boolean;
  readonly identity: boolean;
  readonly times: boolean;
  readonly history: boolean;
}
const ALL: Rules = {
  applierChecks: true,
  operatorRecords: true,
  reportsPlaces: true,
  identity: true,
  times: true,
  history: true,
};

/** Between two messages; their times are compared with some tolerance. */
const A_WHILE = 10;
const NOTHING: Watcher = { known: undefined, hasTold: false };
const START: State = {
  created: 'first',
  messages: [],
  last: { sequence: 0, time: 0 },
  now: A_WHILE,
  published: 0,
  operator: NOTHING,
  record: undefined,
  applier: NOTHING,
  seen: [],
  left: { losses: 1, remakes: 1, restarts: 2, looks: 3 },
  witnesses: [],
};
const MOST_PUBLISHED = 4;

/** Without times every message could be as old as any other. */
const placeOf = ({ sequence, time }: StreamPlace, { times }: Rules) => ({ sequence, time: times ? time : 0 });

function stateOf({ created, messages, last }: State, rules: Rules): StreamState {
  const oldest = messages.find(({ isHandled }) => !isHandled);
  return {
    created: rules.identity ? created : 'any',
    last: placeOf(last, rules),
    oldest: oldest && placeOf(oldest, rules),
  };
}

function look(watcher: Watcher, state: StreamState, rules: Rules): Watcher {
  const hasTold = watcher.hasTold || (watcher.known !== undefined && hasLost(watcher.known, state));
  const known = noteState(watcher.known, state);
  return { known: rules.history ? known : { ...known, places: known.places.slice(-1) }, hasTold };
}

/** What the operator reads last: the applier's report. It may have been written long before or after its own look. */
function readReport(state: State, rules: Rules): State {
  const { operator, seen } = state;
  const isTold = rules.reportsPlaces && seen.some((place) => operator.known && isRetaken(operator.known, place));
  return { ...state, operator: { ...operator, hasTold: operator.hasTold || isTold } };
}

const isKnown = (known: Watermarks | undefined, { sequence }: StreamPlace) =>
  (known?.places.at(-1)?.sequence ?? 0) >= sequence;

/** The messages behind the place are gone. What nobody had looked at yet is still in the spools of the sidecars. */
function lose(state: State, created: string, kept: readonly Message[]): State {
  const gone = state.messages.slice(kept.length);
  const lost = gone.filter(({ isHandled }) => !isHandled);
  const knows = { operator: state.record, applier: state.applier.known };
  const all = ['operator', 'applier'] as const;
  const witnesses = all.filter((name) => lost.some((message) => isKnown(knows[name], message)));
  const { sequence, time } = kept.at(-1) ?? { sequence: 0, time: 0 };
  const last = { sequence, time };
  return { ...state, created, messages: kept, last, now: state.now + A_WHILE, witnesses };
}

/** The applier gets the oldest message that is not handled yet. */
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
    seen: [...state.seen, place],
    applier: { ...applier, hasTold: applier.hasTold || isTold },
  };
}

function* steps(state: State, rules: Rules): Generator<State> {
  const { messages, now, published, left, operator, applier, last } = state;
  if (published < MOST_PUBLISHED) {
    const place = { sequence: last.sequence + 1, time: now };
    const stored = [...messages, { ...place, isHandled: false }];
    yield { ...state, messages: stored, last: place, now: now + A_WHILE, published: published + 1 };
  }
  const handled = handleNext(state, rules);
  if (handled !== undefined) yield handled;
  if (left.looks > 0) {
    const fewer = { ...left, looks: left.looks - 1 };
    const seen = look(operator, stateOf(state, rules), rules);
    yield readReport({ ...state, operator: seen, record: seen.known, left: fewer }, rules);
    yield { ...state, applier: look(applier, stateOf(state, rules), rules), left: fewer };
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
    // What a process has told is in its last report, or in the status.
    const known = rules.operatorRecords ? state.record : undefined;
    yield { ...state, operator: { ...operator, known }, left: fewer };
    const witnesses = state.witnesses.filter((name) => name !== 'applier');
    yield { ...state, applier: { ...applier, known: undefined }, witnesses, left: fewer };
  }
}

/** At the end all is handled, both look once more, and the operator reads what the applier has reported. */
function conclude(state: State, rules: Rules): State {
  let end = state;
  for (let next = handleNext(end, rules); next !== undefined; next = handleNext(end, rules)) end = next;
  const applier = look(end.applier, stateOf(end, rules), rules);
  const operator = look(end.operator, stateOf(end, rules), rules);
  return readReport({ ...end, applier, operator }, rules);
}

interface Exploration {
  readonly states: number;
  /** Ends in which a loss that somebody could know of was not told. */
  readonly missed: number;
  /** Ends in which a loss was told that did not happen. */
  readonly invented: number;
}

/** Tries every order of steps, or stops at the first loss that is missed. */
function explore(rules: Rules, { untilMissed = false } = {}): Exploration {
  let [missed, invented] = [0, 0];
  const known = new Set<string>();
  const open = [START];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = JSON.stringify(state);
    if (known.has(key)) continue;
    known.add(key);
    const { operator, applier, left } = conclude(state, rules);
    const isTold = operator.hasTold || applier.hasTold;
    if (state.witnesses.length > 0 && !isTold) missed += 1;
    if (left.losses > 0 && left.remakes > 0 && isTold) invented += 1;
    if (untilMissed && missed > 0) break;
    open.push(...steps(state, rules));
  }
  return { states: known.size, missed, invented };
}

test('whatever a stream loses that was known to be in it is told, whoever started again and whatever was stored since', () => {
  const { states, ...found } = explore(ALL);
  expect(found).toEqual({ missed: 0, invented: 0 });
  expect(states).toBeGreaterThan(10_000);
});

test.each<[string, Partial<Rules>]>([
  ['the applier compares what it gets with what it knows', { applierChecks: false }],
  ['the operator writes down what it knows', { operatorRecords: false }],
  ['the applier reports what it got', { reportsPlaces: false }],
  ['a stream is known by the time when it was made', { identity: false }],
  ['sequences are compared together with the times of their messages', { times: false }],
  ['more than the last look is remembered', { history: false }],
])('a loss would be missed unless %s', (_, without) => {
  expect(explore({ ...ALL, ...without }, { untilMissed: true }).missed).toBeGreaterThan(0);
});
