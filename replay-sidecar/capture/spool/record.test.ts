import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeRecord, type SpoolRecord, scanRecords, worstCaseBytes } from './record.ts';

const text = fc.string({ unit: 'binary', maxLength: 80 }).map((value) => JSON.stringify(value));
const record: fc.Arbitrary<SpoolRecord> = fc.oneof(
  fc.record({ kind: fc.constant('segment' as const), createdTime: fc.nat(), bootId: fc.uuid() }),
  fc.record({ kind: fc.constant('intent' as const), beganTime: fc.nat(), lines: text }),
  fc.record({
    kind: fc.constant('events' as const),
    intent: fc.nat(),
    beganTime: fc.nat(),
    outcome: fc.constantFrom('known' as const, 'unknown' as const, 'background' as const),
    observedTime: fc.nat(),
    lines: text,
  }),
);
const records = fc.array(record, { minLength: 1, maxLength: 8 });

function encode(all: readonly SpoolRecord[]): { bytes: Buffer; ends: number[] } {
  const buffer = Buffer.alloc(all.reduce((sum, one) => sum + worstCaseBytes(one), 0));
  const ends: number[] = [];
  for (const one of all) ends.push(encodeRecord(buffer, ends.at(-1) ?? 0, one));
  return { bytes: buffer.subarray(0, ends.at(-1)), ends };
}

function decode(bytes: Buffer): SpoolRecord[] {
  return [...scanRecords(bytes)].flatMap((found) => (found.found === 'record' ? [found.record] : []));
}

describe('records', () => {
  it('are read back as they were written, whatever text they hold', () => {
    fc.assert(
      fc.property(records, (all) => {
        expect(decode(encode(all).bytes)).toEqual(all);
      }),
    );
  });

  it('that were cut off at any byte are partial, never damaged, and those before are whole', () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, cut) => {
        const { bytes, ends } = encode(all);
        const length = cut % bytes.length;
        const found = [...scanRecords(bytes.subarray(0, length))];
        expect(decode(bytes.subarray(0, length))).toEqual(all.slice(0, ends.filter((end) => end <= length).length));
        expect(found.map((one) => one.found)).not.toContain('damage');
      }),
    );
  });

  it('next to any damaged bytes are found, and the damage is reported', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, place, change) => {
        const { bytes, ends } = encode(all);
        const at = place % bytes.length;
        bytes[at] = bytes[at]! ^ change;
        const hit = ends.findIndex((end) => at < end);
        const found = [...scanRecords(bytes)];
        expect(decode(bytes)).toEqual(all.filter((_, index) => index !== hit));
        expect(found.map((one) => one.found)).toContain('damage');
      }),
    );
  });

  it('are not forged by text that looks like one', () => {
    const inner = encode([{ kind: 'intent', beganTime: 1, lines: '"inner"' }]).bytes.toString('latin1');
    const outer: SpoolRecord = { kind: 'intent', beganTime: 2, lines: JSON.stringify(inner) };
    const { bytes } = encode([outer]);
    bytes[20] = bytes[20]! ^ 1;
    expect(decode(bytes)).toEqual([]);
  });
});
