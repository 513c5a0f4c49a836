import { describe, expect, test } from 'vitest';
import type { Item } from './document/document.ts';
import { agrees } from './other-regions.ts';
import { documentOf } from './testing/document.ts';

describe('agreement of another region', () => {
  const owner = { apiKey: 'key', identifier: 'ada' };
  const touched = { traits: new Set(['plan']), overrides: new Set<string>() };
  const gold = documentOf('ada', 'gold');
  const of = (there: Item | undefined, here: Item | undefined = gold, what = touched) =>
    agrees(owner, { document: here }, there, what);

  test('another region agrees if it has what was touched, regardless of other changes by Edge clients', () => {
    expect(of(gold)).toBe(true);
    const colour = { M: { trait_key: { S: 'colour' }, trait_value: { S: 'blue' } } };
    expect(of({ ...gold, identity_traits: { L: [...gold['identity_traits']!.L!, colour] } })).toBe(true);
    expect(of(documentOf('ada', 'free'))).toBe(false);
    expect(of(documentOf('ada', 'free'), gold, { ...touched, traits: new Set() })).toBe(true);
    expect(of(undefined)).toBe(false);
    expect(of(documentOf('ada', 'gold', 2))).toBe(false);
  });

  test('if all traits were touched, a trait that Core lacks may be set by an Edge client in another region', () => {
    const all = { ...touched, traits: 'all', removable: new Set<string>() } as const;
    const coloured = (colour: string) => {
      const trait = { M: { trait_key: { S: 'colour' }, trait_value: { S: colour } } };
      return { ...gold, identity_traits: { L: [...gold['identity_traits']!.L!, trait] } };
    };
    const here = { document: coloured('red'), core: gold };
    for (const there of [coloured('red'), coloured('blue'), gold]) expect(agrees(owner, here, there, all)).toBe(true);
    expect(agrees(owner, { document: gold, core: gold }, coloured('blue'), all)).toBe(true);
    expect(agrees(owner, here, documentOf('ada', 'free'), all)).toBe(false);
    const lacking = { document: gold, core: gold };
    expect(agrees(owner, lacking, coloured('blue'), { ...all, removable: new Set(['colour']) })).toBe(false);
  });

  test('another region agrees that an identity is gone if it has none that came from Core', () => {
    const absent = (there: Item | undefined) => agrees(owner, { document: undefined }, there, touched);
    expect(absent(undefined)).toBe(true);
    expect(absent(gold)).toBe(false);
    expect(absent(documentOf('ada', 'gold', null))).toBe(true);
    expect(absent({ ...gold, identifier: { S: 'another' } })).toBe(true);
  });
});
