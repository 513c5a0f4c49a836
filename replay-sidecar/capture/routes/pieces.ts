import type { Data } from './http/data.ts';
import type { WriteRequest } from './route.ts';

/** List elements in one piece: their events take a few milliseconds. */
const PIECE = 250;

/**
 * Splits a request with long lists into several, each with a part of every list: together they change the same as the
 * whole, and none of them holds up the process.
 *
 * @param longest elements of the longest list in the request's data
 */
export function piecesOf(request: WriteRequest, longest: number): readonly WriteRequest[] {
  const { data, items } = request;
  const count = Math.max(1, Math.ceil(Math.max(items.length, longest) / PIECE));
  if (count === 1) return [request];
  const listOf = remembered((name) => data.items(name));
  return Array.from({ length: count }, (_, piece) => {
    const part = (all: readonly Data[]) => all.slice(piece * PIECE, (piece + 1) * PIECE);
    return { ...request, items: part(items), data: withLists(data, (name) => part(listOf(name))) };
  });
}

function withLists(data: Data, items: Data['items']): Data {
  return {
    has: (name) => data.has(name),
    isNull: (name) => data.isNull(name),
    string: (name) => data.string(name),
    text: (name) => data.text(name),
    isTrue: (name) => data.isTrue(name),
    id: (name) => data.id(name),
    child: (name) => data.child(name),
    items,
  };
}

function remembered<T>(find: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    const value = known.get(name) ?? find(name);
    known.set(name, value);
    return value;
  };
}
