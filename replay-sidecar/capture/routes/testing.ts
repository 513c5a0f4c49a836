import type { EventTarget } from '@edge-migration/contract/write-event.ts';
import fc from 'fast-check';

import type { BodyExtent, CaptureOutcome, Field, RequestHead } from '../proxy/hook.ts';
import { type Captured, NONE, planCapture, planEvents, readRequest } from './plan.ts';

/** A request to Core and its answer, for tests. */
export interface CapturedExchange {
  request: string;
  /** JSON unless it is text or bytes. */
  body?: unknown;
  extent?: BodyExtent;
  type?: string;
  key?: string;
  fields?: readonly Field[];
  /** A status, a status with JSON or a redirect's location, or how it failed; 200 when omitted. */
  answer?: number | { status: number; json?: unknown; location?: string } | 'unknown' | 'notSent';
  /** The lookup's result. */
  found?: unknown;
}

export function field(name: string, value: string): Field {
  return { name, lower: name.toLowerCase(), value };
}

export function headOf(exchange: CapturedExchange): RequestHead {
  const [method = '', target = ''] = exchange.request.split(' ');
  const fields = [
    field('X-Environment-Key', exchange.key ?? 'clientkey'),
    field('Content-Type', exchange.type ?? 'application/json'),
    ...(exchange.fields ?? []),
  ];
  return { method, target: target.startsWith('/') ? target : `/api/v1/${target}`, version: '1.1', fields };
}

function outcomeOf(answer: CapturedExchange['answer'] = 200): CaptureOutcome {
  if (answer === 'unknown') return { kind: 'unknown', why: 'reset' };
  if (answer === 'notSent') return { kind: 'notSent' };
  const given: Exclude<typeof answer, number> = typeof answer === 'number' ? { status: answer } : answer;
  const { status, json, location } = given;
  const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
  const fields = location === undefined ? [] : [field('Location', location)];
  return { kind: 'responded', status, fields, body, truncated: false };
}

/** Everything that the exchange may have changed. */
export function capture(exchange: CapturedExchange): Captured {
  const captured = captureLong(exchange);
  if (captured instanceof Promise) throw new RangeError('The body is too long to be read at once');
  return captured;
}

/** The same for a body that may be too long to be read at once. */
export function captureLong(exchange: CapturedExchange): Captured | Promise<Captured> {
  const plan = planCapture(headOf(exchange));
  if (plan?.kind !== 'write') return NONE;
  const { body } = exchange;
  const raw = typeof body === 'string' || Buffer.isBuffer(body);
  const bytes = Buffer.from(raw ? body : body === undefined ? '' : JSON.stringify(body));
  const read = readRequest(plan, bytes, exchange.extent ?? 'whole', exchange.found);
  const outcome = outcomeOf(exchange.answer);
  if (!(read instanceof Promise)) return planEvents(plan, read, outcome);
  return read.then((pieces) => {
    const captured = pieces.map((piece) => planEvents(plan, piece, outcome));
    const uncovered = captured.find((one) => one.uncovered !== undefined)?.uncovered;
    return { drafts: captured.flatMap(({ drafts }) => drafts), uncovered };
  });
}

/** The same in one line for each event: `identity alice traits=plan,age`. */
export function events(exchange: CapturedExchange): readonly string[] {
  return capture(exchange).drafts.map(({ target, touched }) => {
    const traits = touched.traits === 'all' ? ' traits=all' : listed('traits', touched.traits);
    const overrides = touched.overrides === 'all' ? ' overrides=all' : listed('overrides', touched.overrides);
    return `${targetText(target)}${traits}${overrides}${touched.moved ? ' moved' : ''}`;
  });
}

function listed(name: string, values: readonly (string | number)[]): string {
  return values.length === 0 ? '' : ` ${name}=${values.join(',')}`;
}

function targetText(target: EventTarget): string {
  switch (target.kind) {
    case 'identity':
      return `identity ${'environmentId' in target.environment ? `${target.environment.environmentId}/` : ''}${target.identifier}`;
    case 'identityId':
      return `identity #${target.identityId}`;
    case 'environment':
      return `environment ${Object.values(target.environment)[0]}`;
    case 'feature':
      return `feature ${target.featureId}`;
    case 'features':
      return `features of ${Object.entries(target.of).flat().join(' ')}`;
    case 'option':
      return `option ${target.optionId}`;
    case 'featureState':
      return `feature state ${target.featureStateId}${target.moved ? ' moved' : ''}`;
    case 'project':
      return `project ${target.projectId}`;
    case 'deletedProjects':
      return 'deleted projects';
  }
}

/** Without permission a request changes nothing, on every route of the dashboard. */
export const REFUSED = [301, 401, 403, 404, 405, 415, 429] as const;

/** The question to the API before the request is forwarded, if there is one. */
export function lookupOf(request: string): string | undefined {
  const plan = planCapture(headOf({ request }));
  return plan?.kind === 'write' ? plan.lookup?.target : undefined;
}

/** Text with everything that trips up parsers. */
export const wildText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('alice', ' bob ', '\u00a0x\u3000', '\u200bz', '\ufeffq', '\u0085w\x1c', '', ' ', '\ud800', 'a\0b'),
  fc.constantFrom('true', "it's", '"q"', '"\'', '\n', '😀', '%', '%zz', 'a+b', '%41', '__proto__'),
);

/** JSON as it is written, in every spelling of numbers. */
export const wildJson: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    wildText.map((text) => JSON.stringify(text)),
    fc.constantFrom('0', '-0', '1.0', '1e5', '1E16', '1e15', '1e-4', '1e-5', '123456789012345678901234567890', '1e999'),
    fc.constantFrom('true', 'false', 'null'),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc
      .array(fc.tuple(wildText, tie('value')), { maxLength: 3 })
      .map((items) => `{${items.map(([key, value]) => `${JSON.stringify(key)}: ${value}`).join(', ')}}`),
  ),
})).value;
