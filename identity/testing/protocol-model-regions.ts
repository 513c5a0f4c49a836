/**
 * The convergence protocol on a table in two regions with eventual consistency, small enough to try every interleaving
 * (docs/design.md, "Convergence", rule 10).
 *
 * One identity with one trait. Core's API changes it; each change leaves an event. We write in the home region, or where
 * processes go on in the other one, each in the region that it reaches; Edge clients write in both. Each write is replicated to the other region, in any order and after any time; the latest one
 * wins for the whole document, deletes too. That Core or the document may change between read and write is what
 * protocol-model.ts is about: here an event is handled in one step.
 *
 * After it was handled an event is looked at again "after the lag": when what was on its way to the other region at that
 * time has arrived, and what was on its way back then. Where a region is isolated, the look does not wait for that.
 */

interface Core {
  readonly id: number;
  readonly trait: number;
}

/** `djangoId` null: born on Edge; `own`: a trait that only Edge clients set. */
interface Document {
  readonly djangoId: number | null;
  readonly trait: number;
  readonly own: number;
}

/** A document, or that there is none, and when that was written. */
interface Version {
  readonly document: Document | null;
  readonly time: number;
}

const REGIONS = ['home', 'away'] as const;
type Region = (typeof REGIONS)[number];

interface Replica extends Version {
  readonly to: Region;
}

type Event = 'trait' | 'existence';

/** Looks again when replicas up to these times have arrived: first there, then here, `at` being where it was handled. */
interface Look {
  readonly what: Event | 'copy';
  readonly at: Region;
  readonly to: Region | 'none';
  readonly until: number;
}

interface State {
  readonly core: Core | null;
  readonly nextId: number;
  readonly home: Version;
  readonly away: Version;
  readonly replicas: readonly Replica[];
  readonly writes: string;
  readonly events: readonly Event[];
  readonly looks: readonly Look[];
  readonly held: readonly Event[];
  readonly copy: 'read' | 'look' | 'done' | { readonly page: Core };
  /** A client wrote while a write of ours had not reached it, or we while a client's had not reached us. */
  readonly isExposed: boolean;
}

/** The rules that may be left out, to see that they are needed. */
export interface RegionRules {
  /** What was handled is looked at again. */
  readonly looks: boolean;
  /** `roundTrip`: by then what was written there on an older document is here. `oneWay`: it may still be on its way. */
  readonly waits: 'roundTrip' | 'oneWay' | 'not';
  /** What was found to be equal is looked at again, too: what it was equal to may lose. */
  readonly looksAtEqual: boolean;
  /** A look that wrote is followed by another one. */
  readonly repeats: boolean;
  /** A look deletes again what has come back. */
  readonly deletesAgain: boolean;
  /** What the copy wrote is looked at again before it is complete. */
  readonly copyLooks: boolean;
  /** A look is made in every region, and nothing is done with before all agree. */
  readonly looksEverywhere: boolean;
  /**
   * `either`: each event is handled, and each look made, in any of the two, as where processes go on in the other region,
   * come back, and disagree about which of the two can be reached.
   */
  readonly writesIn: 'home' | 'either';
}

export const ALL_REGION_RULES: RegionRules = {
  looks: true,
  waits: 'roundTrip',
  looksAtEqual: true,
  repeats: true,
  deletesAgain: true,
  copyLooks: true,
  looksEverywhere: false,
  writesIn: 'home',
};

/**
 * `c`, `d` create and delete in Core, `1`, `2`, `u` set and remove the trait there; `e` a client of the other region, `h`
 * one of this region sets its own trait, which creates a document where there is none.
 */
const SCENARIOS = [
  ...['1', 'u', 'd', 'c', 'e', '1e', 'e1', 'ue', 'eu', 'de', 'ed', 'ce', 'ec', 'he', '1he', 'hde'],
  ...['12e', '1ee', 'dce', 'dec', 'edc', 'cde', 'c1e', 'ee1', 'eed', 'dee'],
] as const;

const CLIENT = 7;
const CORE_BEFORE: readonly (Core | null)[] = [null, { id: 1, trait: 0 }, { id: 1, trait: 1 }];

export interface RegionExploration {
  readonly states: number;
  /** Runs that ended wrong. */
  readonly violations: readonly string[];
}

/** Tries every order of steps in every scenario, from every beginning, with the copy still to come and complete. */
export function exploreRegions(rules: RegionRules, scenarios: readonly string[] = SCENARIOS): RegionExploration {
  let states = 0;
  const violations: string[] = [];
  for (const start of beginnings(scenarios)) {
    const seen = new Set<string>();
    const open = [start];
    const found = new Set<string>();
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const name = JSON.stringify(state);
      if (seen.has(name)) continue;
      seen.add(name);
      const next = successors(state, rules).map(normalize);
      if (next.length > 0) open.push(...next);
      else {
        const what = judge(state, start.writes);
        if (what !== undefined) found.add(`${start.writes}: ${what}`);
      }
    }
    states += seen.size;
    violations.push(...found);
  }
  return { states, violations: [...new Set(violations)] };
}

function beginnings(scenarios: readonly string[]): State[] {
  const nothing = { nextId: 2, replicas: [], events: [], looks: [], held: [], isExposed: false };
  return CORE_BEFORE.flatMap((core) =>
    (['read', 'done'] as const).flatMap((copy) =>
      scenarios
        .filter((writes) => isPossible(writes, core !== null))
        .map((writes): State => {
          const document = core === null || copy === 'read' ? null : wholeOf(core);
          const version = { document, time: 0 };
          return { ...nothing, core, copy, writes, home: version, away: version };
        }),
    ),
  );
}

function isPossible(writes: string, exists: boolean): boolean {
  let present = exists;
  for (const write of writes) {
    if ('eh'.includes(write)) continue;
    if (present === (write === 'c')) return false;
    if ('cd'.includes(write)) present = write === 'c';
  }
  return true;
}

function successors(state: State, rules: RegionRules): State[] {
  return [
    ...write(state),
    ...handleEvents(state, rules),
    ...copy(state, rules),
    ...arrive(state),
    ...look(state, rules),
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
    case 'e':
    case 'h': {
      const region = kind === 'e' ? 'away' : 'home';
      const document = { ...(state[region].document ?? { djangoId: null, trait: 0 }), own: CLIENT };
      return [store(rest, region, document)];
    }
    default:
      return withEvent({ ...state.core!, trait: kind === 'u' ? 0 : Number(kind) }, 'trait');
  }
}

/** Writes in one region, as its latest write and the latest of all. */
function store(state: State, region: Region, document: Document | null): State {
  const to = otherThan(region);
  const time = 1 + Math.max(state.home.time, state.away.time, ...state.replicas.map((replica) => replica.time));
  const isExposed = state.isExposed || state.replicas.some((replica) => replica.to === region);
  return { ...state, isExposed, [region]: { document, time }, replicas: [...state.replicas, { to, document, time }] };
}

/** The latest write wins, whenever it arrives. */
function arrive(state: State): State[] {
  return state.replicas.map(({ to, document, time }, index) => {
    const replicas = state.replicas.toSpliced(index, 1);
    return time > state[to].time ? { ...state, replicas, [to]: { document, time } } : { ...state, replicas };
  });
}

function handleEvents(state: State, rules: RegionRules): State[] {
  return [...new Set(state.events)].flatMap((event) =>
    writers(rules).map((at) => handleEvent(state, event, at, rules)),
  );
}

const writers = ({ writesIn }: RegionRules): readonly Region[] => (writesIn === 'home' ? ['home'] : REGIONS);

const otherThan = (region: Region): Region => (region === 'home' ? 'away' : 'home');

function handleEvent(state: State, event: Event, at: Region, rules: RegionRules): State {
  const rest = { ...state, events: withoutOne(state.events, event) };
  const handled = handle(rest, event, at);
  const isRemoval = state.core === null || (event === 'trait' && state.core.trait === 0);
  // Once the copy is complete it is handled again, and looked at then.
  if (state.copy !== 'done' && isRemoval) return { ...handled, held: [...handled.held, event].toSorted() };
  return rules.looksAtEqual || handled !== rest ? lookLater(handled, event, at, rules) : handled;
}

/** What Edge should be in a region by rule 1; the same state where it is. */
function handle(state: State, event: Event | 'copy', at: Region): State {
  const { document } = state[at];
  const wanted = converged(document, state.core, event);
  return same(wanted, document) ? state : store(state, at, wanted);
}

function converged(document: Document | null, core: Core | null, event: Event | 'copy'): Document | null {
  // Whatever Core has deleted has an event.
  if (core === null) return event === 'copy' || document?.djangoId === null ? document : null;
  if (document === null || (document.djangoId !== null && document.djangoId !== core.id)) return wholeOf(core);
  const isLacking = event === 'copy' && document.djangoId === null && document.trait === 0;
  return event === 'trait' || isLacking ? { ...document, trait: core.trait } : document;
}

const wholeOf = ({ id, trait }: Core): Document => ({ djangoId: id, trait, own: 0 });

function lookLater(state: State, what: Look['what'], at: Region, { looks, waits }: RegionRules): State {
  if (!looks) return state;
  const look: Look =
    waits === 'not' ? { what, at, to: 'none', until: 0 } : awaitReplicas(state, { what, at }, otherThan(at));
  return { ...state, looks: [...state.looks, look].toSorted(byText) };
}

function awaitReplicas({ replicas }: State, { what, at }: Pick<Look, 'what' | 'at'>, to: Region): Look {
  const times = replicas.filter((replica) => replica.to === to).map(({ time }) => time);
  return { what, at, to, until: Math.max(-1, ...times) };
}

function look(state: State, rules: RegionRules): State[] {
  return state.looks.flatMap((one, index): State[] => {
    const { at, to, until } = one;
    const rest = { ...state, looks: state.looks.toSpliced(index, 1) };
    if (to !== 'none' && state.replicas.some((replica) => replica.to === to && replica.time <= until)) return [];
    if (to === otherThan(at) && rules.waits === 'roundTrip') {
      return [{ ...rest, looks: [...rest.looks, awaitReplicas(state, one, at)].toSorted(byText) }];
    }
    return writers(rules).flatMap((region) => lookIn(region, rest, one.what, rules));
  });
}

function lookIn(at: Region, rest: State, what: Look['what'], rules: RegionRules): State[] {
  const looked = lookNow(rest, what, at, rules);
  const isAgreed = looked === rest && (!rules.looksEverywhere || holds(rest[otherThan(at)], rest, what));
  // It comes again, and again, until something is otherwise.
  if (looked === rest && !isAgreed) return [];
  return [isAgreed || (looked !== rest && !rules.repeats) ? end(looked, what) : lookLater(looked, what, at, rules)];
}

function lookNow(state: State, what: Look['what'], at: Region, { deletesAgain }: RegionRules): State {
  const looked = handle(state, what, at);
  return looked[at].document === null && !deletesAgain ? state : looked;
}

const holds = ({ document }: Version, { core }: State, what: Look['what']) =>
  same(converged(document, core, what), document);

/** The copy is complete, and what was found to be gone meanwhile is handled again. */
function end(state: State, what: Look['what']): State {
  if (what !== 'copy') return state;
  return { ...state, copy: 'done', events: [...state.events, ...state.held].toSorted(), held: [] };
}

function copy(state: State, rules: RegionRules): State[] {
  const { copy: at, core } = state;
  if (at === 'done' || at === 'look') return [];
  if (at === 'read') return [core === null ? end(state, 'copy') : { ...state, copy: { page: core } }];
  const { document } = state.home;
  const isInsert = document === null;
  const copied = isInsert ? store(state, 'home', wholeOf(at.page)) : handle(state, 'copy', 'home');
  const looking: State = { ...copied, copy: 'look' };
  return [rules.looks && rules.copyLooks ? lookLater(looking, 'copy', 'home', rules) : end(looking, 'copy')];
}

/** What is wrong with the end of a run, if anything. */
function judge(state: State, writes: string): string | undefined {
  const { core, home, away, isExposed } = state;
  if (!same(home.document, away.document)) return 'the regions differ';
  if (state.looks.length > 0 || state.copy === 'look') return 'a look never ends';
  const { document } = home;
  if (core === null)
    return document !== null && document.djangoId !== null ? 'a deleted identity is in Edge' : undefined;
  if (document === null) return 'an identity is missing in Edge';
  if (document.djangoId !== null && document.djangoId !== core.id)
    return 'Edge has the identity that was deleted before';
  const isTouched = /[12u]/.test(writes);
  if ((document.djangoId !== null || isTouched) && document.trait !== core.trait) return 'the trait differs';
  const isKept = /[eh]/.test(writes) && !/[cd]/.test(writes);
  return isKept && !isExposed && document.own !== CLIENT
    ? "an Edge client's write is lost outside the window"
    : undefined;
}

/** Only the order of times matters. */
function normalize(state: State): State {
  const { home, away, replicas, looks } = state;
  const times = [home.time, away.time, ...replicas.map(({ time }) => time)];
  const all = [...new Set(times)].toSorted((one, other) => one - other);
  const rank = <T extends { readonly time: number }>(item: T): T => ({ ...item, time: all.indexOf(item.time) });
  // Replicas up to then, and no later one.
  const lower = (look: Look): Look => ({
    ...look,
    until: look.until < 0 ? -1 : all.filter((time) => time <= look.until).length - 1,
  });
  return {
    ...state,
    home: rank(home),
    away: rank(away),
    replicas: replicas.map(rank).toSorted(byText),
    looks: looks.map((look) => (look.to === 'none' ? look : lower(look))).toSorted(byText),
  };
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

const byText = (one: unknown, other: unknown): number => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);

function withoutOne<T>(items: readonly T[], item: T): T[] {
  return items.toSpliced(items.indexOf(item), 1);
}
