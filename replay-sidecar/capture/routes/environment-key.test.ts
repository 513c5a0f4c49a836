import { expect, it } from 'vitest';

import { referenceOf } from './environment-key.ts';

it.each([
  ['', false],
  ['k', true],
  ['k'.repeat(100), true],
  ['k'.repeat(101), false],
  ['🔑'.repeat(100), true],
  ['🔑'.repeat(101), false],
  ['k\0', false],
])('an environment can have %j as its key, as Core’s column counts characters: %s', (key, can) => {
  expect(referenceOf(key)).toEqual(can ? { clientKey: key } : undefined);
});
