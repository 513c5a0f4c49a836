import { numberText, pythonText } from '../python/json.ts';
import { KIND, RECORDED_DEPTH, type Tape } from '../python/json-scanner.ts';
import { idFromNumber, idFromText, strip } from '../python/text.ts';
import { type Data, isTrueText } from './data.ts';
import { UnreadableError } from './unreadable.ts';

type JsonData = { kind: 'object'; data: Data; longest: number } | { kind: 'list'; items: readonly Data[] };

/** `request.data` of a JSON body; undefined for a scalar. `longest`: elements of the longest list in an object. */
export function jsonData(bytes: Buffer, tape: Tape): JsonData | undefined {
  const root = new JsonValue({ bytes, tape, spelledBytes: 0 }, 0, 0);
  if (root.kind === KIND.array) return { kind: 'list', items: root.elements() };
  return root.kind === KIND.object
    ? { kind: 'object', data: new JsonObject(root), longest: root.longestList() }
    : undefined;
}

/** No closures: there may be tens of thousands of them. */
class JsonObject implements Data {
  private readonly value: JsonValue;

  constructor(value: JsonValue) {
    this.value = value;
  }

  has(name: string): boolean {
    return this.value.member(name) !== undefined;
  }

  isNull(name: string): boolean {
    return this.value.member(name)?.kind === KIND.null;
  }

  string(name: string): string | undefined {
    return serializerString(this.value.member(name));
  }

  text(name: string): string | undefined {
    return untrimmedText(this.value.member(name));
  }

  isTrue(name: string): boolean {
    return isTrue(this.value.member(name));
  }

  id(name: string): number | undefined {
    return idOf(this.value.member(name));
  }

  child(name: string): Data | undefined {
    const member = this.value.member(name);
    return member?.kind === KIND.object ? new JsonObject(member) : undefined;
  }

  items(name: string): readonly Data[] {
    return this.value.member(name)?.elements() ?? [];
  }
}

function serializerString(value: JsonValue | undefined): string | undefined {
  if (value?.kind === KIND.number) return numberText(value.json);
  return value?.isString ? strip(value.string) || undefined : undefined;
}

function untrimmedText(value: JsonValue | undefined): string | undefined {
  if (value === undefined || value.kind === KIND.null) return undefined;
  if (value.isString) return value.string;
  return value.kind === KIND.number ? numberText(value.json) : pythonText(value.spelled);
}

function isTrue(value: JsonValue | undefined): boolean {
  if (value?.kind === KIND.number) return Number(value.json) === 1;
  return value?.kind === KIND.true || (value?.isString === true && isTrueText(value.string));
}

function idOf(value: JsonValue | undefined): number | undefined {
  if (value?.kind === KIND.number) return idFromNumber(Number(value.json));
  if (value?.isString) return idFromText(value.string);
  const id = value?.kind === KIND.object ? value.member('id') : undefined;
  return id === undefined || id.kind === KIND.object ? undefined : idOf(id);
}

interface JsonDocument {
  /** UTF-8 */
  readonly bytes: Buffer;
  readonly tape: Tape;
  spelledBytes: number;
}

/** Bytes of one document; they take a few milliseconds. */
const MOST_SPELLED = 32 * 1024;

/** A value in its place in the document; nothing of it is copied before it is requested. */
class JsonValue {
  private readonly document: JsonDocument;
  private readonly index: number;
  private readonly depth: number;

  constructor(document: JsonDocument, index: number, depth: number) {
    this.document = document;
    this.index = index;
    this.depth = depth;
  }

  get kind(): number {
    return this.document.tape[4 * this.index] ?? 0;
  }

  get isString(): boolean {
    return this.kind === KIND.string || this.kind === KIND.escaped;
  }

  get json(): string {
    return this.document.bytes.toString('utf8', this.start, this.end);
  }

  /** The same for an object or array that is to be written as text, which no client of Core has reason to send. */
  get spelled(): string {
    this.document.spelledBytes += this.end - this.start;
    if (this.document.spelledBytes > MOST_SPELLED)
      throw new UnreadableError('JSON has too many objects in place of text');
    return this.json;
  }

  /** The decoded string. */
  get string(): string {
    if (this.kind === KIND.escaped) return JSON.parse(this.json) as string;
    return this.document.bytes.toString('utf8', this.start + 1, this.end - 1);
  }

  /** The last member with this ASCII name; undefined if there is none, or this is not an object. */
  member(name: string): JsonValue | undefined {
    if (this.kind !== KIND.object) return undefined;
    let found: number | undefined;
    for (let key = this.firstChild; key < this.behind; key = this.nextOf(key + 1)) {
      if (isKey(this.document, key, name)) found = key + 1;
    }
    return found === undefined ? undefined : new JsonValue(this.document, found, this.depth + 1);
  }

  /** As objects; none if this is not an array. */
  elements(): readonly Data[] {
    return this.kind === KIND.array ? [...this.children()].map((element) => new JsonObject(element)) : [];
  }

  /** For an object: the length of the longest list in it. */
  longestList(): number {
    let longest = 0;
    for (const value of this.children()) {
      if (value.kind !== KIND.array) continue;
      let length = 0;
      for (const _ of value.children()) length += 1;
      longest = Math.max(longest, length);
    }
    return longest;
  }

  /** For an array: its elements; for an object: its keys and values. */
  private *children(): Generator<JsonValue> {
    for (let index = this.firstChild; index < this.behind; index = this.nextOf(index)) {
      yield new JsonValue(this.document, index, this.depth + 1);
    }
  }

  private get start(): number {
    return this.document.tape[4 * this.index + 1] ?? 0;
  }

  private get end(): number {
    return this.document.tape[4 * this.index + 2] ?? 0;
  }

  private get behind(): number {
    return this.nextOf(this.index);
  }

  private get firstChild(): number {
    if (this.depth === RECORDED_DEPTH) throw new UnreadableError('JSON is nested deeper than its values are recorded');
    return this.index + 1;
  }

  private nextOf(index: number): number {
    return this.document.tape[4 * index + 3] ?? Number.POSITIVE_INFINITY;
  }
}

function isKey({ bytes, tape }: JsonDocument, key: number, name: string): boolean {
  const start = (tape[4 * key + 1] ?? 0) + 1;
  const end = (tape[4 * key + 2] ?? 0) - 1;
  if (tape[4 * key] === KIND.escaped) return JSON.parse(bytes.toString('utf8', start - 1, end + 1)) === name;
  if (end - start !== name.length) return false;
  for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name.charCodeAt(at)) return false;
  return true;
}
