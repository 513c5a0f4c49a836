import { expect, test } from 'vitest';
import { createCheckpointCipher, createCipherKey } from './checkpoint-cipher.ts';

const VALUE = { identifier: 'user@example.com', list: [1, null, 'ü'] };

test('sealed text reveals nothing and can be opened only with the same key', () => {
  const key = createCipherKey();
  const sealed = createCheckpointCipher(key).encrypt(VALUE);
  expect(Buffer.from(sealed, 'base64').toString('latin1')).not.toContain('user');
  expect(createCheckpointCipher(key).decrypt(sealed)).toEqual(VALUE);
  expect(createCheckpointCipher(createCipherKey()).decrypt(sealed)).toBeUndefined();
});

test('damaged sealed text cannot be opened', () => {
  const seal = createCheckpointCipher(createCipherKey());
  const sealed = Buffer.from(seal.encrypt(VALUE), 'base64');
  sealed[sealed.length - 1]! ^= 1;
  expect(seal.decrypt(sealed.toString('base64'))).toBeUndefined();
  expect(seal.decrypt('')).toBeUndefined();
});

test('a malformed key is refused', () => {
  expect(() => createCheckpointCipher('abc')).toThrow(RangeError);
});
