import fc from 'fast-check';
import { expect, test } from 'vitest';
import { identityUuid, version4 } from './identity-uuid.ts';

const VERSION_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const text = fc.string({ unit: 'binary' });

test('the uuid of an identity never changes, so that documents of older versions are found again', () => {
  expect(identityUuid('AbCdEfGhIjKlMnOpQrStUv', 'user@example.com')).toBe('850ebf4a-02f7-4def-8ec9-1d3f083d31f8');
  expect(identityUuid('vec_env_four', '🦄')).toBe('94646751-b2b5-4648-90a2-6c0caf13431e');
});

test('the uuid is of version 4, in lower case with dashes, for any name of the identity', () => {
  fc.assert(fc.property(text, text, (key, identifier) => VERSION_4.test(identityUuid(key, identifier))));
});

test('different splits of key and identifier give different uuids', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.nat(), fc.nat(), (both, i, j) => {
      const [one, other] = [i % (both.length + 1), j % (both.length + 1)];
      const same =
        identityUuid(both.slice(0, one), both.slice(one)) === identityUuid(both.slice(0, other), both.slice(other));
      expect(same).toBe(one === other);
    }),
  );
  expect(identityUuid('a', '1:b')).not.toBe(identityUuid('a1', ':b'));
});

test('a version 4 uuid of Core stays as it is', () => {
  fc.assert(fc.property(fc.uuid({ version: 4 }), (uuid) => version4(uuid) === uuid));
});

test('any other uuid of Core changes only in version and variant', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/), (uuid) => {
      const changed = version4(uuid);
      expect(changed).toMatch(VERSION_4);
      const others = (text: string) => text.slice(0, 14) + text.slice(15, 19) + text.slice(20);
      expect(others(changed)).toBe(others(uuid));
    }),
  );
});
