import type {
  Copy,
  CoreState,
  EdgeState,
  Event,
  HandlerState,
  LateWrite,
  ProcessFault,
  Rules,
  State,
} from './protocol-model.ts';
import { crash, give, hear, redeliver, removeTwin, withLateAck } from './protocol-model-answers.ts';
import { same, sorted, without, withoutOne } from './protocol-model-lists.ts';

/** Values that Edge clients set their own trait to. */
export const EDGE_CLIENT = 7;
/** Appliers at work at the same time. */
const HANDLERS = 2;

/** The states after one more step by any participant. */
export function successors(state: State, rules: Rules): State[] {
  const ours = [
    ...deliver(state, rules),
    ...state.handlers.flatMap((handler, index) => [
      ...handle(state, handler, index, rules),
      ...kill(state, handler, index, rules),
      ...loseAnswer(state, handler, index, rules),
      ...freeze(state, handler, index),
      ...giveBack(state, handler, index, rules),
    ]),
    ...copy(state, rules),
    ...killCopy(state),
    ...arrive(state, rules),
    ...hear(state),
    ...crash(state, (handler) => send(state, handler, rules), rules),
    ...release(state),
    ...tryAgain(state),
    ...handleAgain(state),
  ];
  const harms = (next: State) => state.edge?.foreign === true && !same(next.edge, state.edge);
  return [...write(state), ...ours.map((next) => (harms(next) ? { ...next, harmed: true } : next))];
}

function write(state: State): State[] {
  const kind = state.writes[0];
  if (kind === undefined) return [];
  const rest = { ...state, writes: state.writes.slice(1) };
  const withEvent = (core: CoreState | null, event: Event) => [
    { ...rest, core, events: sorted([...state.events, event]) },
  ];
  switch (kind) {
    case 'c':
      return [{ ...withEvent({ id: state.nextId, trait: 0 }, 'existence')[0]!, nextId: state.nextId + 1 }];
    case 'd':
      return withEvent(null, 'existence');
    case 'L':
    case 'l':
      return withEvent(withBulk(state.core!, kind === 'L'), 'bulk');
    case 'f':
      return [{ ...rest, edge: state.edge ?? { djangoId: 50, trait: 5, own: 9, foreign: true } }];
    case 'b':
      return [{ ...rest, edge: state.edge ?? { djangoId: null, trait: 5, own: 9, foreign: true } }];
    case 'g':
      return [{ ...rest, edge: state.edge?.foreign ? null : state.edge }];
    case 'x':
      return [{ ...rest, edge: state.edge?.foreign ? state.edge : null }];
    case 'e':
      return [{ ...rest, edge: { ...(state.edge ?? { djangoId: null, trait: 0 }), own: EDGE_CLIENT } }];
    default:
      return withEvent({ ...state.core!, trait: kind === 'u' ? 0 : Number(kind) }, 'trait');
  }
}

function deliver(state: State, rules: Rules): State[] {
  if (state.handlers.length >= HANDLERS) return [];
  type Known = Pick<HandlerState, 'doubt' | 'since' | 'named' | 'twin'>;
  const begin = (from: State, event: Event, more: Known = {}): State => ({
    ...from,
    handlers: sorted([
      ...from.handlers,
      { event, step: 'readEdge', copying: state.copy.step !== 'done', edge: null, core: null, ...more },
    ]),
  });
  return [
    ...[...new Set(state.events)]
      .filter((event) => event !== 'repair' || state.copy.step === 'done')
      .map((event) => begin({ ...state, events: withoutOne(state.events, event) }, event)),
    ...state.redelivered.flatMap((one) => {
      const { event, ...known } = one;
      const taken = { ...state, redelivered: withoutOne(state.redelivered, one) };
      // To another applier than the one that remembers, and to that one.
      const toOther = rules.renews
        ? begin(removeTwin(taken, one), event, doubtOf(event, rules))
        : begin(taken, event, { ...known, ...doubtOf(event, rules) });
      const { since } = known;
      return since === undefined || (rules.counts && since > 0) ? [toOther] : [toOther, begin(taken, event, known)];
    }),
  ];
}

/** None of its intended writes is on its way, except the one that put it in doubt. */
function giveBack(state: State, handler: HandlerState, index: number, rules: Rules): State[] {
  const { event, lapsed, answered, twin } = handler;
  if (!state.faults.includes('return') || lapsed || twin || event === 'repair') return [];
  const rest = { ...state, ...spend(state, 'return'), handlers: without(state.handlers, index) };
  return answered ? [rest] : give(rest, handler, rules);
}

const doubtOf = (event: Event, { repairsAgain }: Rules): { doubt: true } | undefined =>
  event === 'repair' && !repairsAgain ? undefined : { doubt: true };

function handle(state: State, handler: HandlerState, index: number, rules: Rules): State[] {
  const become = (change: Partial<HandlerState>, edge = state.edge) =>
    advance({ ...state, edge }, index, { ...handler, ...change });
  switch (handler.step) {
    case 'readEdge':
      return read(state, 'edge', rules).flatMap(([after, edge]) =>
        advance(after, index, { ...handler, edge, step: 'readCore' }),
      );
    case 'readCore':
      return read(state, 'core', rules).flatMap(([after, core]) =>
        advance(after, index, { ...handler, core, step: 'write' }),
      );
    case 'write': {
      if (rules.owns && handler.edge?.foreign)
        return finish(state, { ...handler, left: handler.core === null ? undefined : handler }, index, rules);
      const wanted = converged(handler.edge, handler.core, handler.event, rules);
      const left = isPending(handler, wanted) ? { edge: wanted, core: handler.core } : undefined;
      if (same(wanted, handler.edge)) return finish(state, { ...handler, left }, index, rules);
      if (rules.expires && handler.lapsed) return letGo(state, index);
      if (!isAsRead(state.edge, handler.edge, wanted, rules))
        return become({ edge: null, core: null, step: 'readEdge' });
      const written = apply(state.edge, handler.edge, wanted);
      if (!rules.rereads) return finish({ ...state, edge: written }, handler, index, rules);
      return become({ step: 'confirm', edge: null, left }, written);
    }
    case 'confirm':
      return read(state, 'core', rules).flatMap(([after, core]) =>
        same(core, handler.core)
          ? finish(after, handler, index, rules)
          : advance(after, index, { ...handler, core: null, step: 'readEdge' }),
      );
  }
}

/** Core has the identity, but not the place for its document. */
function list(state: State, core: CoreState | null): State {
  return core === null ? state : { ...state, listed: true };
}

/**
 * The condition of a write: for an update, the document's identity and the attributes to set, as in DynamoDB's
 * condition; for any other write, the whole document. Includes the owner where that is guarded.
 */
function isAsRead(now: EdgeState | null, read: EdgeState | null, wanted: EdgeState | null, { guards }: Rules): boolean {
  if (now === null || read === null || !isUpdate(read, wanted)) return same(now, read);
  const isOwn = !guards || now.foreign === read.foreign;
  return isOwn && now.djangoId === read.djangoId && now.trait === read.trait && now.bulk === read.bulk;
}

/** An update keeps the attributes that it does not set. */
function apply(now: EdgeState | null, read: EdgeState | null, wanted: EdgeState | null): EdgeState | null {
  return now !== null && wanted !== null && isUpdate(read, wanted)
    ? withBulk({ ...now, trait: wanted.trait }, wanted.bulk === true)
    : wanted;
}

function isUpdate(read: EdgeState | null, wanted: EdgeState | null): boolean {
  return read !== null && wanted !== null && wanted.djangoId === read.djangoId;
}

/** A store as it is now; where reads need not be fresh, also as an earlier reader found it. */
function read<Store extends 'edge' | 'core'>(
  state: State,
  store: Store,
  { fresh }: Rules,
): (readonly [after: State, found: State[Store]])[] {
  if (fresh) return [[state, state[store]]];
  const now = [{ ...state, loaded: { ...state.loaded, [store]: state[store] } }, state[store]] as const;
  const before = state.loaded[store] as State[Store] | undefined;
  return before === undefined ? [now] : [now, [state, before]];
}

function advance(state: State, index: number, handler: HandlerState): State[] {
  return [{ ...state, handlers: sorted(state.handlers.with(index, handler)) }];
}

/** Edge as rule 1 requires it. */
function converged(edge: EdgeState | null, core: CoreState | null, event: Event, rules: Rules): EdgeState | null {
  if (core === null) return edge !== null && edge.djangoId !== null ? null : edge;
  if (edge === null) return fits(core) ? wholeOf(core) : null;
  if (edge.djangoId !== null && edge.djangoId !== core.id) {
    if (!rules.replaces) return edge;
    return fits(core) ? wholeOf(core) : null;
  }
  const next = touch(edge, core, event);
  return fits(next) ? next : edge;
}

function touch(edge: EdgeState, core: CoreState, event: Event): EdgeState {
  if (event === 'trait' || event === 'repair') return { ...edge, trait: core.trait };
  return event === 'bulk' ? withBulk(edge, core.bulk === true) : edge;
}

const wholeOf = ({ id, trait, bulk }: CoreState): EdgeState =>
  withBulk<EdgeState>({ djangoId: id, trait, own: 0 }, bulk === true);

/** Whether a document can hold both traits. */
export const fits = ({ trait, bulk }: Pick<CoreState, 'trait' | 'bulk'>): boolean => !(trait === 2 && bulk);

function withBulk<T extends { readonly bulk?: true }>({ bulk: _, ...rest }: T, hasBulk: boolean): T {
  return (hasBulk ? { ...rest, bulk: true } : rest) as T;
}

/** Whether Edge lacks what the event touched, because it cannot hold it. */
function isPending({ event, core }: HandlerState, edge: EdgeState | null): boolean {
  if (core === null) return false;
  if (edge === null || edge.foreign) return true;
  return !same(touch(edge, core, event), edge);
}

function finish(state: State, handler: HandlerState, index: number, rules: Rules): State[] {
  if (rules.yields && handler.lapsed) return letGo(state, index);
  return withLateAck(settle(state, handler, index, rules), handler);
}

function settle(state: State, handler: HandlerState, index: number, rules: Rules): State[] {
  const { event, core, left, doubt, lapsed } = handler;
  const isRemoval =
    core === null || (event === 'trait' && core.trait === 0) || (event === 'bulk' && core.bulk === undefined);
  const gone = removeTwin({ ...state, handlers: without(state.handlers, index) }, handler);
  const rest = lapsed ? answerOthers(gone, event, rules) : gone;
  if (rules.looksAgain && doubt) return [{ ...rest, again: sorted([...state.again, event]) }];
  // Edge may be able to hold later what it cannot hold now, and the copy may insert its current page.
  if (rules.holds && handler.copying && (isRemoval || left)) {
    return [{ ...rest, held: sorted([...state.held, event]) }];
  }
  if (!rules.remembers || left === undefined || event === 'repair') return [rest];
  return [{ ...rest, parked: sorted([...state.parked, { event, edge: left.edge, core: left.core }]) }];
}

/** It belongs to another identity now. */
function letGo(state: State, index: number): State[] {
  return [{ ...state, handlers: without(state.handlers, index) }];
}

/** An answer counts for every delivery of an event. */
function answerOthers(state: State, event: Event, { renews }: Rules): State {
  const next = state.redelivered.find((one) => one.event === event);
  if (next !== undefined) return { ...state, redelivered: withoutOne(state.redelivered, next) };
  if (renews) return state;
  const index = state.handlers.findIndex((other) => other.event === event && other.doubt && !other.lapsed);
  const other = state.handlers[index];
  if (other === undefined) return state;
  return { ...state, handlers: sorted(state.handlers.with(index, { ...other, answered: true })) };
}

/** Its event is redelivered, and its next write may be on its way. */
function kill(state: State, handler: HandlerState, index: number, rules: Rules): State[] {
  if (!state.faults.includes('kill')) return [];
  const { answered, lapsed, twin } = handler;
  const rest = removeTwin({ ...state, handlers: without(state.handlers, index) }, handler, false);
  const redelivered = answered || lapsed || twin ? rest.redelivered : sorted([...rest.redelivered, redeliver(handler)]);
  const killed = { ...rest, ...spend(state, 'kill'), redelivered };
  return [killed, ...send(killed, handler, rules)];
}

/** The write may be on its way; its sender does not know, and starts over. */
function loseAnswer(state: State, handler: HandlerState, index: number, rules: Rules): State[] {
  if (!state.faults.includes('timeout')) return [];
  const sent = send({ ...state, ...spend(state, 'timeout') }, handler, rules);
  const next: HandlerState = { ...handler, edge: null, core: null, step: 'readEdge', ...doubtOf(handler.event, rules) };
  return sent.flatMap((after) => advance(after, index, next));
}

/** The frozen one continues as if nothing had happened, or notices that it was frozen. */
function freeze(state: State, handler: HandlerState, index: number): State[] {
  if (!state.faults.includes('freeze') || handler.lapsed || handler.twin) return [];
  const redelivered = sorted([...state.redelivered, redeliver(handler)]);
  const frozen = { ...state, ...spend(state, 'freeze'), redelivered };
  return advance(frozen, index, { ...handler, lapsed: true });
}

/** The handler's next write, on its way with no process that waits for it. */
function send(state: State, handler: HandlerState, rules: Rules): State[] {
  const { event, step, edge, core, lapsed } = handler;
  if (step !== 'write' || (rules.expires && lapsed) || (rules.owns && edge?.foreign)) return [];
  const wanted = converged(edge, core, event, rules);
  if (same(wanted, edge)) return [];
  return [{ ...state, late: sorted<LateWrite>([...state.late, { sender: event, read: edge, wanted }]) }];
}

/** The worker starts its page over; its next insert may be on its way. */
function killCopy(state: State): State[] {
  const { copy, late } = state;
  if (!state.faults.includes('kill') || copy.step !== 'insert') return [];
  const killed: State = { ...state, ...spend(state, 'kill'), copy: { step: 'read' } };
  return [
    { ...killed, late: sorted<LateWrite>([...late, { sender: 'copy', read: null, wanted: wholeOf(copy.core) }]) },
  ];
}

/** Like every write, it is carried out if the document is as its sender has read it, and otherwise does nothing. */
function arrive(state: State, rules: Rules): State[] {
  return state.late.map(({ read, wanted }, index) => {
    const edge = isAsRead(state.edge, read, wanted, rules) ? apply(state.edge, read, wanted) : state.edge;
    return { ...state, edge, late: without(state.late, index) };
  });
}

/** Later than any write of an earlier delivery can arrive. */
function handleAgain(state: State): State[] {
  return [...new Set(state.again)]
    .filter((event) => !state.late.some(({ sender }) => sender === event))
    .map((event) => ({
      ...state,
      again: withoutOne(state.again, event),
      events: sorted([...state.events, event]),
    }));
}

function spend({ faults }: State, fault: ProcessFault): Pick<State, 'faults'> {
  return { faults: without(faults, faults.indexOf(fault)) };
}

/** Rule 2, `KeepEdge`. */
function copy(state: State, rules: Rules): State[] {
  const { copy: at, edge, core } = state;
  const become = (copy: Copy, changed = edge): State[] =>
    rules.settles && copy.step === 'done' && state.late.some(({ sender }) => sender === 'copy')
      ? []
      : [{ ...state, copy, edge: changed }];
  switch (at.step) {
    case 'read':
      if (core !== null && !fits(core)) return become({ step: 'done' }).map((done) => list(done, core));
      return become(core === null ? { step: 'done' } : { step: 'insert', core });
    case 'insert':
      if (edge === null) return become({ step: 'done' }, wholeOf(at.core));
      return become(edge.djangoId === at.core.id && !edge.foreign ? { step: 'done' } : { step: 'readEdge' });
    case 'readEdge':
      return become({ step: 'readCore', edge });
    case 'readCore':
      return become({ step: 'write', edge: at.edge, core });
    case 'write': {
      if ((rules.owns && at.edge?.foreign) || (at.core !== null && !fits(at.core)))
        return become({ step: 'done' }).map((done) => list(done, at.core));
      const wanted = merged(at.edge, at.core, rules);
      if (same(wanted, at.edge)) return become({ step: 'done' });
      if (!isAsRead(edge, at.edge, wanted, rules)) return become({ step: 'readEdge' });
      return become({ step: 'confirm', core: at.core }, apply(edge, at.edge, wanted));
    }
    case 'confirm':
      return become(same(core, at.core) ? { step: 'done' } : { step: 'readEdge' });
    case 'done':
      return [];
  }
}

/** Created on Edge: the missing traits are added. */
function merged(edge: EdgeState | null, core: CoreState | null, rules: Rules): EdgeState | null {
  if (core === null) return edge;
  if (edge === null || edge.djangoId !== null) return converged(edge, core, 'existence', rules);
  const trait = edge.trait === 0 ? core.trait : edge.trait;
  return withBulk({ ...edge, trait }, edge.bulk === true || core.bulk === true);
}

/** Nothing changes as long as both stores are as they were. */
function tryAgain(state: State): State[] {
  return state.parked.flatMap(({ event, edge, core }, index) =>
    same(edge, state.edge) && same(core, state.core)
      ? []
      : { ...state, parked: without(state.parked, index), events: sorted([...state.events, event]) },
  );
}

function release(state: State): State[] {
  const [first, ...held] = state.held;
  if (first === undefined || state.copy.step !== 'done') return [];
  return [{ ...state, held, events: sorted([...state.events, first]) }];
}
