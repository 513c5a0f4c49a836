import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bytes } from './bytes.ts';

test('bytes that were appended and not consumed are there, in order, however they came and went', () => {
  const step = fc.oneof(
    fc.record({ append: fc.uint8Array({ maxLength: 6_000 }) }),
    fc.record({ consume: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.constant({ clear: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const bytes = new Bytes();
      let expected = Buffer.alloc(0);
      for (const each of steps) {
        if ('append' in each) {
          bytes.append(Buffer.from(each.append));
          expected = Buffer.concat([expected, each.append]);
        } else if ('consume' in each) {
          const count = Math.floor(each.consume * expected.length);
          bytes.consume(count);
          expected = expected.subarray(count);
        } else {
          bytes.clear();
          expected = Buffer.alloc(0);
        }
        expect(bytes.length).toBe(expected.length);
        expect(bytes.view().equals(expected)).toBe(true);
      }
    }),
  );
});

test('one piece is not copied', () => {
  const bytes = new Bytes();
  const piece = Buffer.from('hello');
  bytes.append(piece);
  expect(bytes.view()).toBe(piece);
});

test('bytes that were taken stay the same when more are appended', () => {
  const bytes = new Bytes();
  bytes.append(Buffer.from('ab'));
  bytes.append(Buffer.from('cd'));
  const taken = bytes.view().subarray(0, 3);
  bytes.consume(3);
  bytes.append(Buffer.from('e'.repeat(10_000)));
  expect(taken.toString()).toBe('abc');
});
