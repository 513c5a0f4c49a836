import type { RegionRules } from './protocol-model-regions.ts';
import { failOver, isDark } from './protocol-model-regions-failover.ts';
import {
  byText,
  CLIENT,
  type Core,
  converged,
  type Event,
  otherThan,
  type Recheck,
  type Region,
  type State,
  same,
  storeClients,
  storeOurs,
  type Version,
  wholeOf,
} from './protocol-model-regions-state.ts';

/** The states after one more step by any participant. */
export function successors(state: State, rules: RegionRules): State[] {
  return [
    ...write(state),
    ...handleEvents(state, rules),
    ...copy(state, rules),
    ...arrive(state),
    ...recheck(state, rules),
    ...failOver(state, rules),
  ];
}

function write(state: State): State[] {
  const kind = state.writes[0];
  if (kind === undefined) return [];
  const rest = { ...state, writes: state.writes.slice(1) };
  const withEvent = (core: Core | null, event: Event) => [
    { ...rest, core, events: [...state.events, event].toSorted() },
  ];
  switch (kind) {
    case 'c':
      return withEvent({ id: state.nextId, trait: 0 }, 'existence').map((next) => ({
        ...next,
        nextId: state.nextId + 1,
      }));
    case 'd':
      return withEvent(null, 'existence');
    case 'D':
      return withEvent(null, 'listing');
    case 'e':
    case 'h': {
      const region = kind === 'e' ? 'away' : 'home';
      return [storeClients(rest, region, { ...(state[region].document ?? { djangoId: null, trait: 0 }), own: CLIENT })];
    }
    default:
      return withEvent({ ...state.core!, trait: kind === 'u' ? 0 : Number(kind) }, 'trait');
  }
}

/** The latest write wins, whenever it arrives. */
function arrive(state: State): State[] {
  return state.replicas.map(({ to, document, time }, index) => {
    const replicas = state.replicas.toSpliced(index, 1);
    return time > state[to].time ? { ...state, replicas, [to]: { document, time } } : { ...state, replicas };
  });
}

/** The regions that we may write now. */
function writers(state: State, { writesIn }: RegionRules): readonly Region[] {
  if (writesIn === 'either') return ['home', 'away'];
  const { at } = state.failover;
  return at === 'home' && isDark(state) ? [] : [at];
}

function handleEvents(state: State, rules: RegionRules): State[] {
  return [...new Set(state.events)].flatMap((event) =>
    writers(state, rules).flatMap((at) => {
      if (event !== 'listing') return [handleEvent(state, event, at, rules)];
      return at === 'away' && rules.listsAtHome ? [] : [list(state, at)];
    }),
  );
}

function handleEvent(state: State, event: Recheck['what'] & Event, at: Region, rules: RegionRules): State {
  const rest = { ...state, events: withoutOne(state.events, event) };
  const handled = handle(rest, event, at);
  const isRemoval = state.core === null || (event === 'trait' && state.core.trait === 0);
  // It is handled, and checked, again once the copy is complete.
  if (state.copy !== 'done' && isRemoval) return hold(handled, event);
  return rules.rechecksEqual || handled !== rest ? recheckLater(handled, event, at, rules) : handled;
}

const hold = (state: State, event: Event): State => ({ ...state, held: [...state.held, event].toSorted() });

/** A document found in the region then gets an event of its own. */
function list(state: State, at: Region): State {
  const { document } = state[at];
  const isFound = document !== null && document.djangoId !== null;
  const rest = withoutOne(state.events, 'listing');
  const listed = { ...state, events: isFound ? [...rest, 'existence' as const].toSorted() : rest };
  return state.copy === 'done' ? listed : hold(listed, 'listing');
}

/** Edge as rule 1 requires it in a region; the same state where it already is. */
function handle(state: State, event: Recheck['what'], at: Region): State {
  const { document } = state[at];
  const wanted = converged(document, state.core, event);
  return same(wanted, document) ? state : storeOurs(state, at, wanted);
}

function recheckLater(state: State, what: Recheck['what'], at: Region, { rechecks, waits }: RegionRules): State {
  if (!rechecks) return state;
  const recheck: Recheck =
    waits === 'not' ? { what, at, to: 'none', until: 0 } : awaitReplicas(state, { what, at }, otherThan(at));
  return { ...state, rechecks: [...state.rechecks, recheck].toSorted(byText) };
}

function awaitReplicas({ replicas }: State, { what, at }: Pick<Recheck, 'what' | 'at'>, to: Region): Recheck {
  const times = replicas.filter((replica) => replica.to === to).map(({ time }) => time);
  return { what, at, to, until: Math.max(-1, ...times) };
}

function recheck(state: State, rules: RegionRules): State[] {
  return state.rechecks.flatMap((one, index): State[] => {
    const { at, to, until, what } = one;
    const rest = { ...state, rechecks: state.rechecks.toSpliced(index, 1) };
    if (to !== 'none' && state.replicas.some((replica) => replica.to === to && replica.time <= until)) return [];
    if (to === otherThan(at) && rules.waits === 'roundTrip') {
      return [{ ...rest, rechecks: [...rest.rechecks, awaitReplicas(state, one, at)].toSorted(byText) }];
    }
    const regions = what === 'copy' ? copyWriters(state, rules) : writers(state, rules);
    return regions.flatMap((region) => recheckIn(region, rest, what, rules));
  });
}

function recheckIn(at: Region, rest: State, what: Recheck['what'], rules: RegionRules): State[] {
  const rechecked = recheckNow(rest, what, at, rules);
  const isAgreed = rechecked === rest && (!rules.rechecksEverywhere || agrees(otherThan(at), rest, what));
  // It is retried until something changes.
  if (rechecked === rest && !isAgreed) return [];
  return [
    isAgreed || (rechecked !== rest && !rules.repeats)
      ? end(rechecked, what)
      : recheckLater(rechecked, what, at, rules),
  ];
}

function recheckNow(state: State, what: Recheck['what'], at: Region, { deletesAgain }: RegionRules): State {
  const rechecked = handle(state, what, at);
  return rechecked[at].document === null && !deletesAgain ? state : rechecked;
}

const agrees = (region: Region, state: State, what: Recheck['what']) =>
  (region === 'away' || !isDark(state)) && holds(state[region], state, what);

const holds = ({ document }: Version, { core }: State, what: Recheck['what']) =>
  same(converged(document, core, what), document);

/** The copy is complete, and removals found meanwhile are handled again. */
function end(state: State, what: Recheck['what']): State {
  if (what !== 'copy') return state;
  return { ...state, copy: 'done', events: [...state.events, ...state.held].toSorted(), held: [] };
}

/** The copy waits for the home region, even while replay writes another one. */
function copyWriters(state: State, rules: RegionRules): readonly Region[] {
  const regions = writers(state, rules);
  return rules.writesIn === 'failover' && rules.copyWaits ? regions.filter((region) => region === 'home') : regions;
}

function copy(state: State, rules: RegionRules): State[] {
  const { copy: at, core } = state;
  if (at === 'done' || at === 'recheck') return [];
  if (at === 'read') return [core === null ? end(state, 'copy') : { ...state, copy: { page: core } }];
  const regions = rules.writesIn === 'either' ? (['home'] as const) : copyWriters(state, rules);
  return regions.map((region) => copyTo(region, state, at.page, rules));
}

function copyTo(region: Region, state: State, page: Core, rules: RegionRules): State {
  const isInsert = state[region].document === null;
  const copied = isInsert ? storeOurs(state, region, wholeOf(page)) : handle(state, 'copy', region);
  // Only replay's writes elsewhere may cost clients their writes.
  const { isExposed } = region === 'home' ? copied : state;
  const rechecking: State = { ...copied, isExposed, copy: 'recheck' };
  return rules.rechecks && rules.copyRechecks
    ? recheckLater(rechecking, 'copy', region, rules)
    : end(rechecking, 'copy');
}

function withoutOne<T>(items: readonly T[], item: T): T[] {
  return items.toSpliced(items.indexOf(item), 1);
}
