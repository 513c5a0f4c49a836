import { hash } from 'node:crypto';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item } from './document/document.ts';
import { hex } from './document/equality.ts';
import { canonicalNumber } from './document/number.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';

/** Most numbers: they can be written in only one way. */
const PLAIN_INTEGER = /^(?:0|-?[1-9][0-9]*)$/;

/** Lists without a significant order: readers find traits and overrides by key, and sort multivariate values by id. */
const UNORDERED = new Set(['identity_traits', 'identity_features', 'multivariate_feature_state_values']);

/**
 * One text for all ways to write the same value: numbers by their value, maps by name, unordered lists by content.
 * Texts and names are prefixed with their length, because quoting them takes longer.
 */
export function canonicalText(value: AttributeValue, name?: string): string {
  if (value.S !== undefined) return `"${value.S.length}:${value.S}`;
  if (value.N !== undefined) return PLAIN_INTEGER.test(value.N) ? value.N : canonicalNumber(value.N);
  if (value.M !== undefined) return canonicalItem(value.M);
  if (value.L !== undefined) return canonicalList(value.L, name);
  if (value.BOOL !== undefined) return value.BOOL ? 'true' : 'false';
  if (value.NULL !== undefined) return 'null';
  // Not written by us. The members of a set have no order.
  if (value.SS !== undefined) return JSON.stringify({ SS: value.SS.toSorted() });
  if (value.NS !== undefined) return JSON.stringify({ NS: value.NS.map(canonicalNumber).toSorted() });
  if (value.BS !== undefined) return JSON.stringify({ BS: value.BS.map(hex).toSorted() });
  return JSON.stringify({ B: hex(value.B ?? new Uint8Array()) });
}

function canonicalList(list: readonly AttributeValue[], name: string | undefined): string {
  const texts = list.map((element) => canonicalText(element));
  if (texts.length > 1 && name !== undefined && UNORDERED.has(name)) texts.sort();
  return `[${texts.join()}]`;
}

/** As {@link canonicalText}, for a map or a whole item; attributes in `without` are left out. */
export function canonicalItem(item: Readonly<Item>, without?: ReadonlySet<string>): string {
  const { sorted, titles } = shapeOf(Object.keys(item));
  let text = '{';
  for (let index = 0; index < sorted.length; index++) {
    const name = sorted[index]!;
    if (!without?.has(name)) text += titles[index]! + canonicalText(item[name]!, name);
  }
  return `${text}}`;
}

interface Shape {
  readonly names: readonly string[];
  readonly sorted: readonly string[];
  /** The names of `sorted`, each prefixed with its length. */
  readonly titles: readonly string[];
}

/** The last result per number of names: nearly all documents, and all traits, have the same names in the same order. */
const shapes: (Shape | undefined)[] = [];
const MOST_NAMES = 64;

function shapeOf(names: readonly string[]): Shape {
  const last = shapes[names.length];
  if (last !== undefined && isSame(names, last.names)) return last;
  const sorted = names.toSorted();
  const shape = { names, sorted, titles: sorted.map((name) => `,${name.length}:${name}`) };
  if (names.length <= MOST_NAMES) shapes[names.length] = shape;
  return shape;
}

function isSame(names: readonly string[], others: readonly string[]): boolean {
  for (let index = 0; index < names.length; index++) if (names[index] !== others[index]) return false;
  return true;
}

/** Edge's own attributes, which need not agree between the stores. */
const NOT_SUMMED: ReadonlySet<string> = new Set(['identity_uuid', 'dashboard_alias']);

/** SHA-256 of a document's content without Edge's own attributes; 32 characters, one for each byte. */
export function documentDigest(item: Readonly<Item>): string {
  return hash('sha256', canonicalItem(withoutReplicationAttributes(item), NOT_SUMMED), 'binary');
}

const WORDS = 8;
const DIGITS = 8;

/**
 * A checksum over documents in any order: the sum of their digests, each 32-bit word separately modulo 2^32. Checksums
 * of parts add up to that of the whole, and two sets of documents with the same checksum are the same set.
 */
export interface Checksum {
  /** @param digest a character for each byte */
  add(digest: string): void;
  /** 64 hexadecimal digits. */
  text(): string;
}

/** @param text of a checksum to continue from */
export function createChecksum(text = NO_DOCUMENTS): Checksum {
  const sum = parse(text);
  return {
    add(digest) {
      for (let word = 0; word < WORDS; word++) sum[word]! += wordOf(digest, 4 * word);
    },
    text: () => Array.from(sum, (word) => word.toString(16).padStart(DIGITS, '0')).join(''),
  };
}

/** The combined checksum of all parts. */
export function addChecksums(texts: readonly string[]): string {
  const total = createChecksum();
  for (const text of texts) total.add(Buffer.from(text, 'hex').toString('latin1'));
  return total.text();
}

/** The checksum of no documents. */
export const NO_DOCUMENTS = '0'.repeat(WORDS * DIGITS);

/** Four bytes as one number, most significant first. */
function wordOf(digest: string, at: number): number {
  const [one, two] = [digest.charCodeAt(at), digest.charCodeAt(at + 1)];
  return (one << 24) | (two << 16) | (digest.charCodeAt(at + 2) << 8) | digest.charCodeAt(at + 3);
}

function parse(text: string): Uint32Array {
  const bytes = Buffer.from(text, 'hex').toString('latin1');
  return Uint32Array.from({ length: WORDS }, (_, word) => wordOf(bytes, 4 * word));
}
