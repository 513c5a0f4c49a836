import type { DraftEvent } from '../spool/draft.ts';
import type { Effect } from './route.ts';

/**
 * Bytes of trait keys in one event. With the longest identifier in its longest spelling (2,000 characters as `\u0001`)
 * and everything else an event stays under its limit of 64 KB.
 */
const MAX_KEY_BYTES = 44 * 1024;

/** One draft for each target; several if it has more trait keys than one event can hold. */
export function draftsOf(effects: readonly Effect[], route: string): readonly DraftEvent[] {
  return merged(effects).flatMap((effect) => split({ ...effect, route }));
}

/** Routes name the same target twice, as in a rename to the same name. */
function merged(effects: readonly Effect[]): readonly Effect[] {
  if (effects.length < 2) return effects;
  const byTarget = new Map<string, Effect>();
  for (const effect of effects) {
    // A trait that Core may have ignored is a separate claim.
    const key = JSON.stringify([effect.target, effect.traitGates]);
    const other = byTarget.get(key);
    byTarget.set(key, other === undefined ? effect : join(other, effect));
  }
  return [...byTarget.values()];
}

function join(one: Effect, other: Effect): Effect {
  const traits = union(one.touched.traits, other.touched.traits);
  const overrides = union(one.touched.overrides, other.touched.overrides);
  // A gate may only stay closed when it is closed for both.
  const traitGates = one.traitGates.filter((gate) => other.traitGates.includes(gate));
  const moved = one.touched.moved ?? other.touched.moved;
  return { target: one.target, touched: { traits, overrides, ...(moved && { moved }) }, traitGates };
}

function union<T>(one: 'all' | readonly T[], other: 'all' | readonly T[]): 'all' | readonly T[] {
  return one === 'all' || other === 'all' ? 'all' : [...new Set([...one, ...other])];
}

function split(draft: DraftEvent): readonly DraftEvent[] {
  const { traits } = draft.touched;
  if (traits === 'all' || !exceeds(traits)) return [draft];
  const drafts: DraftEvent[] = [];
  let keys: string[] = [];
  let bytes = 0;
  for (const key of traits) {
    const size = keyBytes(key);
    if (bytes + size > MAX_KEY_BYTES) {
      drafts.push({ ...draft, touched: { traits: keys, overrides: [] } });
      [keys, bytes] = [[], 0];
    }
    keys.push(key);
    bytes += size;
  }
  return [...drafts, { ...draft, touched: { ...draft.touched, traits: keys } }];
}

/** Up to 35 keys need no counting: one has at most 200 characters of at most 6 bytes. */
function exceeds(keys: readonly string[]): boolean {
  return keys.length > 35 && keys.reduce((bytes, key) => bytes + keyBytes(key), 0) > MAX_KEY_BYTES;
}

function keyBytes(key: string): number {
  return Buffer.byteLength(JSON.stringify(key)) + 1;
}
