import { UnreadableError } from '../http/unreadable.ts';
import { floatText } from './text.ts';

/** A deeper value is not a text that a column of Core holds. */
const DEEPEST = 100;

/** Python's `str()` of a JSON number: an integer keeps all its digits, a float is spelled as a float. */
export function numberText(source: string): string {
  if (!/^-?[0-9]+$/.test(source)) return floatText(Number(source));
  return source === '-0' ? '0' : source;
}

/**
 * Python's `str()` of a value: a string unchanged, everything else as `repr()`.
 *
 * @param json valid JSON
 * @throws UnreadableError when it has more than a hundred levels
 */
export function pythonText(json: string): string {
  return json.startsWith('"') ? (JSON.parse(json) as string) : new Representation(json).value(0);
}

const TOKEN = /[ \t\n\r]*("(?:[^"\\]|\\.)*"|[-0-9][-+.0-9eE]*|[a-z]+|[[\]{},:])/y;
const WORDS: Record<string, string> = { true: 'True', false: 'False', null: 'None' };

/** `repr()` in one pass, because a JavaScript object keeps neither the spelling nor the order of all JSON content. */
class Representation {
  private readonly json: string;
  private at = 0;

  constructor(json: string) {
    this.json = json;
  }

  value(depth: number): string {
    if (depth > DEEPEST) throw new UnreadableError(`a JSON value is nested more than ${DEEPEST} levels deep`);
    const token = this.next();
    if (token === '{') return this.dict(depth + 1);
    if (token === '[') return this.list(depth + 1);
    if (token.startsWith('"')) return stringRepr(JSON.parse(token) as string);
    return WORDS[token] ?? numberText(token);
  }

  private list(depth: number): string {
    const items: string[] = [];
    while (!this.closes(']')) items.push(this.value(depth));
    return `[${items.join(', ')}]`;
  }

  /** The last of several values of a key counts, in the place of the first. */
  private dict(depth: number): string {
    const items = new Map<string, string>();
    while (!this.closes('}')) {
      const key = JSON.parse(this.next()) as string;
      this.next();
      items.set(key, this.value(depth));
    }
    return `{${[...items].map(([key, value]) => `${stringRepr(key)}: ${value}`).join(', ')}}`;
  }

  /** Whether the list or object ends here; skips a comma. */
  private closes(end: string): boolean {
    const before = this.at;
    const token = this.next();
    if (token !== ',' && token !== end) this.at = before;
    return token === end;
  }

  private next(): string {
    TOKEN.lastIndex = this.at;
    const token = TOKEN.exec(this.json)?.[1] ?? '';
    this.at = TOKEN.lastIndex;
    return token;
  }
}

const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** `str.__repr__`: double quotes only where that saves escapes; escapes everything that is not `isprintable()`. */
function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let body = '';
  for (const char of text) {
    if (char === quote) body += `\\${char}`;
    else if (SHORT_ESCAPES[char] !== undefined) body += SHORT_ESCAPES[char];
    else if (char === ' ' || !/[\p{C}\p{Z}]/u.test(char)) body += char;
    else body += numericEscape(char.codePointAt(0) ?? 0);
  }
  return quote + body + quote;
}

function numericEscape(point: number): string {
  const hex = point.toString(16);
  if (point <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return point <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
