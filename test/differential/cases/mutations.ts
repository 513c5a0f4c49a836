import fc from 'fast-check';
import { type Case, render } from '../case.ts';
import { anyWrite, changed, oddText } from './writes.ts';

/** A field's value with an insertion before, after or inside it. */
const fieldMutations = fc
  .tuple(
    anyWrite,
    fc.nat(),
    fc.oneof(oddText, fc.constantFrom(',', ';', ' x', '\t', '\x0b', '\x0c', '\r\n ', '\r\n\t', '\n', '\r', '\x7f')),
    fc.constantFrom('front', 'end', 'inside', 'split', 'case'),
  )
  .map(([one, index, text, how]) => {
    const fields = one.fields.flatMap((field, position) => {
      const [name, value] = field;
      if (position !== index % one.fields.length) return [field];
      if (how === 'front') return [[name, text + value] as const];
      if (how === 'end') return [[name, value + text] as const];
      if (how === 'case') return [[name, value.toUpperCase()] as const];
      if (how === 'split') return [[name, value] as const, [name, text] as const];
      return [[name, value.slice(0, 3) + text + value.slice(3)] as const];
    });
    return changed(one, { fields });
  });

/** A byte that is dropped, inserted or changed at any position. */
const edit = fc.tuple(
  fc.nat(),
  fc.constantFrom('drop', 'insert', 'replace', 'double'),
  fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0, 9, 10, 11, 12, 13, 32, 34, 35, 37, 38, 44, 45, 46, 47, 58, 59, 61, 63, 92, 95),
  ),
);
const byteMutations = fc
  .tuple(anyWrite, fc.array(edit, { minLength: 1, maxLength: 2 }), fc.boolean())
  .map(([one, edits, inBody]) => {
    let bytes = render(one).toString('latin1');
    for (const [where, how, code] of edits) {
      const from = inBody && one.body !== '' ? bytes.indexOf('\r\n\r\n') + 4 : 0;
      const at = from + (where % Math.max(1, bytes.length - from));
      const char = String.fromCharCode(code);
      if (how === 'drop') bytes = bytes.slice(0, at) + bytes.slice(at + 1);
      if (how === 'insert') bytes = bytes.slice(0, at) + char + bytes.slice(at);
      if (how === 'replace') bytes = bytes.slice(0, at) + char + bytes.slice(at + 1);
      if (how === 'double') bytes = bytes.slice(0, at + 1) + bytes.slice(at);
    }
    return changed(one, { raw: bytes });
  });

export const mutationCases: fc.Arbitrary<Case> = fc.oneof(fieldMutations, byteMutations);
