import { STORED_HEADER } from '@edge-migration/contract/event-times.ts';
import { derivedSubject, EVENT_SUBJECT } from '@edge-migration/contract/streams/events.ts';
import { writeEvent } from '@edge-migration/contract/write-event.ts';
import type { JsMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CURSOR_HEADER,
  derivedHeaders,
  findClientKey,
  isListing,
  keepHeaders,
  markListing,
  readDelivery,
  UnreadableEventError,
} from './delivery.ts';
import type { InFlightMessage } from './in-flight.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function event(clientKey: string, identifier: string, route: string) {
  return writeEvent.parse({
    version: 1,
    id: 'id',
    target: { kind: 'identity', environment: { clientKey }, identifier },
    touched: { traits: [identifier.slice(0, 9).toWellFormed() || 'plan'], overrides: [] },
    traitGates: [],
    outcome: 'known',
    observedTime: '2026-01-01T00:00:00.000Z',
    route,
    instance: 'api/uid',
  });
}

test('the client key is found in any event, whatever its other strings contain', () => {
  const wild = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).map((text) => text.replaceAll('\0', '0')),
    fc.constantFrom('"clientKey":"other"', '\\"clientKey":"other', '{"clientKey":"other"}', '\\', '"'),
  );
  fc.assert(
    fc.property(wild, wild, (clientKey, identifier) => {
      const found = findClientKey(bytes(JSON.stringify(event(clientKey, identifier, 'sdk.identify'))));
      // A key with escapes is left to a parser.
      const isPlain = JSON.stringify(clientKey) === `"${clientKey}"`;
      expect(found).toBe(isPlain ? clientKey.toWellFormed() : undefined);
    }),
  );
});

test.each(['', '{}', '{"target":{"kind":"feature"}}', '{"clientKey":7}', '{"clientKey":"cut', 'no JSON at all'])(
  'no client key is found in %s',
  (text) => {
    expect(findClientKey(bytes(text))).toBeUndefined();
  },
);

const NOW = Date.parse('2026-01-01T00:00:00Z');

const EVENT = event('key', 'ada', 'sdk.identify');

/** A message as NATS delivers it; only the parts that are read. */
function held(subject: string, payload: unknown, fields = headers()): InFlightMessage {
  const data = payload instanceof Uint8Array ? payload : bytes(JSON.stringify(payload));
  const message: Partial<JsMsg> = { subject, data, headers: fields, seq: 1, time: new Date(NOW) };
  return {
    message: message as JsMsg,
    data,
    delivered: 0,
    left: () => 30_000,
    doubt() {},
    settle() {},
    isDoubtful: () => false,
    isShared: () => false,
    isOpen: () => true,
    ack() {},
    nak() {},
  };
}

describe('an event from a sidecar is refused by itself', () => {
  const target = (changes: object) => ({ ...EVENT, target: { ...EVENT.target, ...changes } });
  const touched = (changes: object) => ({ ...EVENT, touched: { ...EVENT.touched, ...changes } });
  test.each<[string, object]>([
    ['NUL in the identifier', target({ identifier: 'a\0a' })],
    ['half a surrogate pair in the identifier', target({ identifier: 'a\ud800' })],
    ['an identifier longer than Core stores', target({ identifier: 'a'.repeat(2001) })],
    ['NUL in the client key', target({ environment: { clientKey: 'k\0' } })],
    ['half a surrogate pair in the client key', target({ environment: { clientKey: '\udc00' } })],
    ['a client key longer than Core stores', target({ environment: { clientKey: 'k'.repeat(101) } })],
    ['a malformed hash', target({ environment: { serverKeySha256: 'ABC' } })],
    ['an environment id beyond int4', target({ environment: { environmentId: 2 ** 31 } })],
    ['an identity id beyond int4', { ...EVENT, target: { kind: 'identityId', identityId: 2 ** 31 } }],
    ['an identity id of 0', { ...EVENT, target: { kind: 'identityId', identityId: 0 } }],
    ['a fractional feature id', { ...EVENT, target: { kind: 'feature', projectId: 1, featureId: 1.5 } }],
    ['a feature id beyond int4', { ...EVENT, target: { kind: 'feature', projectId: 1, featureId: 1e15 } }],
    ['a project id beyond int4', { ...EVENT, target: { kind: 'project', projectId: 2 ** 31 } }],
    ['NUL in a trait key', touched({ traits: ['plan', 'a\0'] })],
    ['a trait key longer than Core stores', touched({ traits: ['k'.repeat(201)] })],
    ['more trait keys than an event has room for', touched({ traits: Array(32_769).fill('') })],
    ['an overridden feature beyond int4', touched({ overrides: [2 ** 31] })],
    ['a negative overridden feature', touched({ overrides: [-1] })],
    ['a time more than a day ahead', { ...EVENT, observedTime: '2026-01-02T00:00:00.001Z' }],
    ['an id that is not a valid header value', { ...EVENT, id: 'a\r\nNats-Rollup: all' }],
    ['a route that is not plain text', { ...EVENT, route: 'a\nb' }],
    ['an unknown field', { ...EVENT, values: {} }],
    ['a key that is named for an environment', target({ environment: { environmentId: 1, apiKey: 'key' } })],
  ])('for %s', (_, payload) => {
    expect(() => readDelivery(held(EVENT_SUBJECT, payload))).toThrow(UnreadableEventError);
  });

  test('for bytes that are not UTF-8, which would otherwise name another identity', () => {
    const data = bytes(JSON.stringify(EVENT));
    data[data.indexOf(0x61, data.indexOf(0x7b) + 60)] = 0xff;
    expect(() => readDelivery(held(EVENT_SUBJECT, data))).toThrow(UnreadableEventError);
  });

  test('for its size, before it is parsed', () => {
    expect(() => readDelivery(held(EVENT_SUBJECT, new Uint8Array(100_000)))).toThrow('bytes');
  });

  test('with a short reason, however much is wrong', () => {
    const payload = touched({ traits: Array.from({ length: 5000 }, () => 7) });
    expect(() => readDelivery(held(EVENT_SUBJECT, payload))).toThrow(/^.{1,1000}$/);
  });
});

test('an event that Core can store and a same-day clock has stamped is accepted', () => {
  const payload = {
    ...EVENT,
    target: { kind: 'identity', environment: { clientKey: '🗝'.repeat(100) }, identifier: '🧑'.repeat(2000) },
    observedTime: '2026-01-02T00:00:00.000Z',
  };
  expect(readDelivery(held(EVENT_SUBJECT, payload)).event.target).toEqual(payload.target);
});

describe('a statement that only appliers may make', () => {
  const derived = { ...EVENT, target: { kind: 'environment', environment: { environmentId: 1, apiKey: 'former' } } };
  const cursor = { from: 'edge', round: 1, after: 'ada' } as const;

  test('is believed in an event that an applier derived', () => {
    const { event, cursor: read } = readDelivery(held(derivedSubject(1), derived, derivedHeaders(cursor)));
    expect(event).toEqual(derived);
    expect(read).toEqual(cursor);
  });

  test('is not believed on the subject of the sidecars, whatever the other headers say', () => {
    expect(() => readDelivery(held(EVENT_SUBJECT, derived, derivedHeaders(cursor)))).toThrow(UnreadableEventError);
    expect(readDelivery(held(EVENT_SUBJECT, EVENT, derivedHeaders(cursor))).cursor).toBeUndefined();
  });

  test('remains a claim when an event from a sidecar is published again', () => {
    const kept = keepHeaders({ subject: EVENT_SUBJECT, time: new Date(NOW), headers: derivedHeaders(cursor) });
    expect(kept.keys()).toEqual([STORED_HEADER]);
    const { event, cursor: read } = readDelivery(held(derivedSubject(1), derived, kept));
    expect(event.target).toEqual({ kind: 'environment', environment: { clientKey: 'former' } });
    expect(read).toBeUndefined();
  });

  test('is not believed of a sidecar, then or later, if it says that an event needs no room of a quota', () => {
    const headers = derivedHeaders(undefined);
    markListing(headers);
    expect(isListing({ subject: derivedSubject(1), headers })).toBe(true);
    expect(isListing({ subject: EVENT_SUBJECT, headers })).toBe(false);
    const kept = keepHeaders({ subject: EVENT_SUBJECT, time: new Date(NOW), headers });
    expect(isListing({ subject: 'identity.parked.1.overflow', headers: kept })).toBe(false);
  });

  test('is checked with Core again where an applier of an earlier release, which marked nothing, has made it', () => {
    const target = { kind: 'identity', environment: { environmentId: 1, apiKey: 'former' }, identifier: 'ada' };
    for (const subject of [derivedSubject(1), 'identity.parked.1.copying']) {
      const { event } = readDelivery(held(subject, { ...EVENT, target }));
      expect(event.target).toEqual({ ...target, environment: { clientKey: 'former' } });
    }
  });

  test('remains believed when an event that an applier derived is parked and comes back', () => {
    const aside = keepHeaders({ subject: derivedSubject(1), time: new Date(NOW), headers: derivedHeaders(cursor) });
    const back = keepHeaders({ subject: 'identity.parked.1.suspended', time: new Date(NOW), headers: aside });
    expect(back.get(CURSOR_HEADER)).toBe(JSON.stringify(cursor));
    expect(readDelivery(held(derivedSubject(1), derived, back)).event).toEqual(derived);
  });
});
