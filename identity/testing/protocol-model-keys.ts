/**
 * The convergence protocol where client keys change, small enough to try every interleaving (docs/design.md,
 * "Convergence", rule 8).
 *
 * One identity of an environment whose key is 0, then 1, then 2, or 0 again; each key has a place for a document. Another
 * environment, which is not being migrated, may take key 0 over. Each rename leaves an event by the former key and one
 * by the environment's id. An applier remembers keys for some seconds: it may believe in any key that the environment
 * has had. The copy uses key 0, which it read at its beginning.
 */

/** The owner of the document in a place: our environment's identity, the other environment's, or none. */
type Document = 'ours' | 'theirs' | null;

/** How an event names the environment: by a key, or by its id. */
type Name = 0 | 1 | 2 | 'id';

/** Core's answer about the identity under a key. `foreign`: another environment has the key. */
type Found = 'present' | 'absent' | 'foreign';

interface Handler {
  readonly name: Name;
  readonly place: number;
  /** The applier believes that the key is the environment's own. */
  readonly believes: boolean;
  readonly copying: boolean;
  readonly step: 'readEdge' | 'readCore' | 'write' | 'confirm';
  readonly edge: Document;
  readonly found: Found | null;
}

interface State {
  readonly key: number;
  /** Keys that the environment has had. */
  readonly had: readonly number[];
  readonly exists: boolean;
  readonly taken: boolean;
  readonly documents: readonly [Document, Document, Document];
  readonly writes: string;
  readonly events: readonly Name[];
  readonly held: readonly Name[];
  readonly handlers: readonly Handler[];
  readonly copy: 'read' | 'insert' | 'done';
  readonly harmed: boolean;
}

/** The rules that may be left out, to show that they are needed. */
export interface KeyRules {
  /** Core is asked for the owner of a key together with the identity, each time that the identity is read. */
  readonly asks: boolean;
  /** An event handled under a key that is no longer the environment's is resolved again. */
  readonly resolvesAgain: boolean;
  /** An event that names a former key also concerns the document under the present one. */
  readonly follows: boolean;
  /** A removal found while the copy runs is checked again when the copy is complete. */
  readonly holds: boolean;
}

export const ALL_KEY_RULES: KeyRules = { asks: true, resolvesAgain: true, follows: true, holds: true };

/**
 * `r` another key, `b` the first one again; `d` the identity is deleted, `D` too, by the first key, which Flagsmith's
 * processes remember for a while; `t` and `u`: key 0 is taken over, with and without an identity of that name.
 */
const SCENARIOS = ['r', 'rr', 'rb', 'rrb', 'd', 'rd', 'dr', 'rt', 'rrt', 'ru', 'rdt', 'rD', 'rrD'] as const;

/** Appliers at work at the same time; protocol-model.ts covers several that work on one document. */
const HANDLERS = 1;

/** Tries every order of steps in every scenario. */
export function exploreKeys(rules: KeyRules): { states: number; violations: string[] } {
  let states = 0;
  const violations = new Set<string>();
  for (const writes of SCENARIOS) {
    for (const document of ['ours', null] as const) {
      const seen = new Set<string>();
      const open = [begin(writes, document)];
      for (let state = open.pop(); state !== undefined; state = open.pop()) {
        const name = JSON.stringify(state);
        if (seen.has(name)) continue;
        seen.add(name);
        const next = successors(state, rules);
        open.push(...next);
        const what = next.length === 0 ? judge(state) : undefined;
        if (what !== undefined) violations.add(`${writes}: ${what}`);
      }
      states += seen.size;
    }
  }
  return { states, violations: [...violations] };
}

function begin(writes: string, document: Document): State {
  const documents = [document, null, null] as const;
  const nothing = { events: [], held: [], handlers: [], taken: false, harmed: false };
  return { ...nothing, key: 0, had: [0], exists: true, documents, writes, copy: document === null ? 'read' : 'done' };
}

/** The fault in the end state of a run, if any. */
function judge({ key, exists, documents, harmed }: State): string | undefined {
  if (harmed) return "another environment's document was changed";
  if (documents[key] !== (exists ? 'ours' : null)) return 'the document under the present key is wrong';
  // Remains of a deleted identity under a key that others have are theirs to remove.
  const left = documents.some((document, place) => place !== key && document === 'ours');
  return left && exists ? 'a document is left under a former key' : undefined;
}

function successors(state: State, rules: KeyRules): State[] {
  const ours = [
    ...deliver(state, rules),
    ...state.handlers.flatMap((handler) => handle(state, handler, rules)),
    ...copy(state),
    ...release(state),
  ];
  const harms = (next: State) => state.documents[0] === 'theirs' && next.documents[0] !== 'theirs';
  return [...write(state), ...ours.map((next) => (harms(next) ? { ...next, harmed: true } : next))];
}

function write(state: State): State[] {
  const kind = state.writes[0];
  if (kind === undefined) return [];
  const rest = { ...state, writes: state.writes.slice(1) };
  const rename = (key: number) => [
    {
      ...rest,
      key,
      had: union(state.had, key),
      events: [state.key as Name, 'id' as const].reduce(union, state.events),
    },
  ];
  switch (kind) {
    case 'r':
      return rename(state.key + 1);
    case 'b':
      return rename(0);
    case 'd':
      return [{ ...rest, exists: false, events: union(state.events, state.key as Name) }];
    case 'D':
      return [{ ...rest, exists: false, events: union(state.events, 0) }];
    case 't':
      return [{ ...rest, taken: true, documents: put(state, 0, 'theirs') }];
    default:
      return [{ ...rest, taken: true }];
  }
}

function deliver(state: State, { follows }: KeyRules): State[] {
  if (state.handlers.length >= HANDLERS) return [];
  return state.events.flatMap((name) =>
    state.had.map((belief) => {
      const believes = name === 'id' || name === belief;
      const place = name === 'id' ? belief : name;
      const copying = state.copy !== 'done';
      const handler: Handler = { name, place, believes, copying, step: 'readEdge', edge: null, found: null };
      const others = state.events.filter((other) => other !== name);
      return {
        ...state,
        events: !believes && follows ? union(others, 'id' as const) : others,
        handlers: [...state.handlers, handler],
      };
    }),
  );
}

function handle(state: State, handler: Handler, rules: KeyRules): State[] {
  const advance = (change: Partial<Handler>, documents = state.documents): State[] => [
    { ...state, documents, handlers: state.handlers.map((one) => (one === handler ? { ...handler, ...change } : one)) },
  ];
  const now = state.documents[handler.place] ?? null;
  switch (handler.step) {
    case 'readEdge':
      return advance({ edge: now, found: null, step: 'readCore' });
    case 'readCore':
      return advance({ found: ask(state, handler, rules), step: 'write' });
    case 'write': {
      const wanted = choose(state, handler);
      if (wanted === handler.edge) return finish(state, handler, rules);
      if (now !== handler.edge) return advance({ edge: null, step: 'readEdge' });
      return advance({ edge: null, step: 'confirm' }, put(state, handler.place, wanted));
    }
    case 'confirm':
      return ask(state, handler, rules) === handler.found
        ? finish(state, handler, rules)
        : advance({ found: null, step: 'readEdge' });
  }
}

function ask({ key, taken, exists }: State, { place, believes }: Handler, { asks }: KeyRules): Found {
  if (asks && place !== key && taken && place === 0) return 'foreign';
  const isOurs = asks ? place === key : believes;
  return isOurs && exists ? 'present' : 'absent';
}

/** Under a key that others have, a document is removed only where Core proves that it is our identity's. */
function choose({ exists }: State, { edge, found }: Handler): Document {
  if (found === 'present') return 'ours';
  if (found === 'foreign') return edge === 'ours' && exists ? null : edge;
  return null;
}

function finish(state: State, handler: Handler, rules: KeyRules): State[] {
  const { name, place, believes, copying, found } = handler;
  const isStale = rules.resolvesAgain && believes && place !== state.key;
  const isHeld = rules.holds && copying && found !== 'present';
  return [
    {
      ...state,
      handlers: state.handlers.filter((one) => one !== handler),
      events: isStale ? union(state.events, name) : state.events,
      held: isHeld ? union(state.held, name) : state.held,
    },
  ];
}

/** By the key that the environment had when the copy began. */
function copy(state: State): State[] {
  if (state.copy === 'read') return [{ ...state, copy: state.exists ? 'insert' : 'done' }];
  if (state.copy === 'done') return [];
  return [{ ...state, copy: 'done', documents: put(state, 0, state.documents[0] ?? 'ours') }];
}

function release(state: State): State[] {
  const [first, ...held] = state.held;
  return first === undefined || state.copy !== 'done' ? [] : [{ ...state, held, events: union(state.events, first) }];
}

function put({ documents }: State, place: number, document: Document): State['documents'] {
  return documents.with(place, document) as unknown as State['documents'];
}

/** Sorted, so that states that differ only in order are one. */
function union<T extends number | string>(all: readonly T[], one: T): T[] {
  return [...new Set([...all, one])].sort();
}
