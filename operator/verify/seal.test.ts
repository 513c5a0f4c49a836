import { expect, test } from 'vitest';
import { createSeal, createSealKey } from './seal.ts';

const VALUE = { identifier: 'user@example.com', list: [1, null, 'ü'] };

test('what is sealed can be read with the same key only, and shows nothing', () => {
  const key = createSealKey();
  const sealed = createSeal(key).close(VALUE);
  expect(Buffer.from(sealed, 'base64').toString('latin1')).not.toContain('user');
  expect(createSeal(key).open(sealed)).toEqual(VALUE);
  expect(createSeal(createSealKey()).open(sealed)).toBeUndefined();
});

test('what was damaged counts for nothing', () => {
  const seal = createSeal(createSealKey());
  const sealed = Buffer.from(seal.close(VALUE), 'base64');
  sealed[sealed.length - 1]! ^= 1;
  expect(seal.open(sealed.toString('base64'))).toBeUndefined();
  expect(seal.open('')).toBeUndefined();
});

test('a key of another form is refused', () => {
  expect(() => createSeal('abc')).toThrow(RangeError);
});
