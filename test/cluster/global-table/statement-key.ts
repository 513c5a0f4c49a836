import type { Item, Statement } from './wire.ts';

/** A string, a quoted name, a bare word or number, or one other character. */
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|[\w.-]+|\S/g;

/** Which item a PartiQL statement writes. */
export interface WrittenItem {
  readonly table: string;
  readonly key: Item;
}

/**
 * The item of an INSERT, UPDATE or DELETE; undefined for a SELECT.
 *
 * @param keysOf names of a table's key attributes
 * @throws Error when the statement does not give each key attribute as `?` or as a string
 */
export function findWrittenItem(
  { Statement: statement, Parameters = [] }: Statement,
  keysOf: (table: string) => readonly string[],
): WrittenItem | undefined {
  const tokens = statement.match(TOKEN) ?? [];
  const verb = tokens[0]?.toUpperCase();
  if (verb === 'SELECT') return undefined;
  const table = unquote(tokens[verb === 'UPDATE' ? 1 : 2] ?? '');
  const values = findValues(tokens, { from: verb === 'INSERT' ? 'VALUE' : 'WHERE', by: verb === 'INSERT' ? ':' : '=' });
  let parameter = 0;
  const parameterAt = tokens.map((token) => (token === '?' ? Parameters[parameter++] : undefined));
  const key = keysOf(table).map((name) => {
    const at = values.get(name);
    const token = at === undefined ? '' : (tokens[at] ?? '');
    const value = token === '?' ? parameterAt[at ?? 0] : token.startsWith("'") ? { S: unquote(token) } : undefined;
    if (value === undefined) throw new Error(`Global table: cannot tell which item this writes: ${statement}`);
    return [name, value] as const;
  });
  return { table, key: Object.fromEntries(key) };
}

/** Positions of the values of `name : value` or `name = value`, by name; the first of each, which is the outermost. */
function findValues(tokens: readonly string[], { from, by }: { from: string; by: string }): Map<string, number> {
  const start = tokens.findIndex((token) => token.toUpperCase() === from);
  const values = new Map<string, number>();
  let depth = 0;
  for (let at = Math.max(start, 0); start >= 0 && at < tokens.length; at++) {
    if (tokens[at] === '{' || tokens[at] === '[') depth++;
    if (tokens[at] === '}' || tokens[at] === ']') depth--;
    const name = unquote(tokens[at - 1] ?? '');
    if (tokens[at] === by && depth <= 1 && !values.has(name)) values.set(name, at + 1);
  }
  return values;
}

function unquote(token: string): string {
  const quote = token[0];
  if (quote !== "'" && quote !== '"') return token;
  return token.slice(1, -1).replaceAll(quote + quote, quote);
}
