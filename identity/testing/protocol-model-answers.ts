import type { HandlerState, Redelivery, Rules, State } from './protocol-model.ts';
import { same, sorted, without } from './protocol-model-lists.ts';

/** NATS has counted one more delivery. */
export function redeliver({ event, since, named }: HandlerState): Redelivery {
  return { event, ...(since === undefined ? {} : { since: since + 1 }), ...(named && { named }) };
}

/** An applier gives its event back; NATS learns of it at once, or only after the event was delivered once more. */
export function give(state: State, { event, doubt }: HandlerState, rules: Rules): State[] {
  const isRemembered = doubt === undefined || !rules.returnsClean;
  const given: Redelivery = isRemembered ? { event, since: 0 } : { event };
  const next = add(state, given);
  if (!state.faults.includes('lateNak')) return [next];
  const unconfirmed: Redelivery = { ...(rules.confirms ? { event } : given), named: 'lateNak' };
  return [next, add(spendOn(state, 'lateNak'), unconfirmed)];
}

/** A handler acknowledges its finished event, which may be delivered again before NATS receives that. */
export function withLateAck(ends: readonly State[], handler: HandlerState): State[] {
  const { event, lapsed, answered, twin } = handler;
  const late = lapsed || answered || twin || event === 'repair' ? [] : ends;
  return [
    ...ends,
    ...late
      .filter(({ faults }) => faults.includes('lateAck'))
      .map((end) => add(spendOn(end, 'lateAck'), { ...redeliver(handler), named: 'lateAck' })),
  ];
}

/** A late answer arrives. */
export function hear(state: State): State[] {
  return [
    ...state.redelivered.flatMap((one, index) => {
      const { named, ...rest } = one;
      if (named === undefined) return [];
      const left = { ...state, redelivered: without(state.redelivered, index) };
      return [named === 'lateAck' ? left : add(left, rest)];
    }),
    ...state.handlers.flatMap((handler, index) => {
      const { named, ...rest } = handler;
      if (named === undefined) return [];
      const become = (next: HandlerState): State => ({ ...state, handlers: sorted(state.handlers.with(index, next)) });
      if (named === 'lateAck' || rest.answered) return [become({ ...rest, answered: true })];
      return [add(become({ ...rest, twin: true }), { ...redeliver(rest), twin: true })];
    }),
  ];
}

/** One of two holders of an event acknowledges it, or disappears silently: then the other one alone has it. */
export function removeTwin(state: State, one: HandlerState | Redelivery, isAcknowledged = true): State {
  if (!one.twin) return state;
  const isOther = (other: HandlerState | Redelivery) => other.twin === true && other.event === one.event;
  const waiting = state.redelivered.findIndex(isOther);
  if (waiting >= 0) {
    const { twin: _, ...alone } = state.redelivered[waiting]!;
    const left = { ...state, redelivered: without(state.redelivered, waiting) };
    return isAcknowledged ? left : add(left, alone);
  }
  const index = state.handlers.findIndex(isOther);
  if (index < 0) return state;
  const { twin: _, ...alone } = state.handlers[index]!;
  const next: HandlerState = isAcknowledged ? { ...alone, answered: true } : alone;
  return { ...state, handlers: sorted(state.handlers.with(index, next)) };
}

/**
 * NATS has forgotten the last deliveries. Appliers drop their current events; what they have sent may be on its way.
 *
 * @param send the states in which the handler has sent its next write
 */
export function crash(state: State, send: (handler: HandlerState) => State[], { distrusts }: Rules): State[] {
  if (!state.faults.includes('forget')) return [];
  const isOfStream = ({ event }: HandlerState) => event !== 'repair';
  const dropped = state.handlers.filter(isOfStream);
  const had = [
    ...state.redelivered,
    ...dropped.filter(({ answered, lapsed, twin }) => !answered && !lapsed && !twin),
    // One of the two that had it: whichever is left.
    ...dropped
      .filter(({ twin, event }) => twin && !state.redelivered.some((one) => one.twin && one.event === event))
      .slice(0, 1),
  ].map(({ event }) => event);
  const after: State = {
    ...spendOn(state, 'forget'),
    handlers: state.handlers.filter((handler) => !isOfStream(handler)),
    redelivered: distrusts ? sorted(had.map((event) => ({ event }))) : [],
    events: distrusts ? state.events : sorted([...state.events, ...had]),
  };
  let ends: State[] = [after];
  for (const handler of dropped) {
    const sent = send(handler).flatMap(({ late }) =>
      late.filter((one) => !state.late.some((known) => same(known, one))),
    );
    ends = ends.flatMap((end) => [end, ...sent.map((one) => ({ ...end, late: sorted([...end.late, one]) }))]);
  }
  return ends;
}

function add(state: State, one: Redelivery): State {
  return { ...state, redelivered: sorted([...state.redelivered, one]) };
}

function spendOn(state: State, fault: State['faults'][number]): State {
  return { ...state, faults: without(state.faults, state.faults.indexOf(fault)) };
}
