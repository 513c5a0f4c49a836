import { writeEvent } from '@edge-migration/identity/write-event.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findClientKey } from './work.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function event(clientKey: string, identifier: string, route: string) {
  return writeEvent.parse({
    version: 1,
    id: 'id',
    target: { kind: 'identity', environment: { clientKey }, identifier },
    touched: { traits: [identifier.slice(0, 9) || 'plan'], overrides: [] },
    traitGates: [],
    outcome: 'known',
    observedTime: '2026-01-01T00:00:00.000Z',
    route,
    instance: 'api/uid',
  });
}

test('the client key is found in any event, whatever its other texts look like', () => {
  const wild = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
    fc.constantFrom('"clientKey":"other"', '\\"clientKey":"other', '{"clientKey":"other"}', '\\', '"'),
  );
  fc.assert(
    fc.property(wild, wild, (clientKey, identifier) => {
      const found = findClientKey(bytes(JSON.stringify(event(clientKey, identifier, 'sdk.identify'))));
      // What has escapes is left to a parser.
      const isPlain = JSON.stringify(clientKey) === `"${clientKey}"`;
      expect(found).toBe(isPlain ? clientKey.toWellFormed() : undefined);
    }),
  );
});

test.each(['', '{}', '{"target":{"kind":"feature"}}', '{"clientKey":7}', '{"clientKey":"cut', 'no JSON at all'])(
  'there is none in %s',
  (text) => {
    expect(findClientKey(bytes(text))).toBeUndefined();
  },
);
