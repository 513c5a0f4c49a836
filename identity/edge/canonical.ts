import { hash } from 'node:crypto';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item } from './document.ts';
import { canonicalNumber } from './document-number.ts';

/** Most numbers: nothing about them can be written in two ways. */
const PLAIN_INTEGER = /^(?:0|-?[1-9][0-9]*)$/;

/** Lists whose order says nothing: readers find traits and overrides by key, and sort multivariate values by id. */
const UNORDERED = new Set(['identity_traits', 'identity_features', 'multivariate_feature_state_values']);

/**
 * One text for all ways to write the same value: numbers by their value, maps by name, lists that have no order by
 * content.
 */
export function canonicalText(value: AttributeValue, name?: string): string {
  if (value.S !== undefined) return JSON.stringify(value.S);
  if (value.N !== undefined) return PLAIN_INTEGER.test(value.N) ? value.N : canonicalNumber(value.N);
  if (value.BOOL !== undefined) return value.BOOL ? 'true' : 'false';
  if (value.NULL !== undefined) return 'null';
  if (value.L !== undefined) {
    const texts = value.L.map((element) => canonicalText(element));
    if (name !== undefined && UNORDERED.has(name)) texts.sort();
    return `[${texts.join()}]`;
  }
  if (value.M !== undefined) return canonicalItem(value.M);
  // Binaries and sets: none of ours, and only ever compared with themselves.
  return JSON.stringify(value);
}

/** As {@link canonicalText}, of a map or of a whole item; attributes in `without` are left out. */
export function canonicalItem(item: Readonly<Item>, without?: ReadonlySet<string>): string {
  const { sorted, quoted } = shapeOf(Object.keys(item));
  let text = '';
  for (let index = 0; index < sorted.length; index++) {
    const name = sorted[index]!;
    if (without?.has(name)) continue;
    text += `${text === '' ? '' : ','}${quoted[index]}:${canonicalText(item[name]!, name)}`;
  }
  return `{${text}}`;
}

interface Shape {
  readonly names: readonly string[];
  readonly sorted: readonly string[];
  /** Of `sorted`, as JSON. */
  readonly quoted: readonly string[];
}

/** The last one of each number of names: nearly all documents, and all traits, have the same names in the same order. */
const shapes: (Shape | undefined)[] = [];
const MOST_NAMES = 64;

function shapeOf(names: readonly string[]): Shape {
  const last = shapes[names.length];
  if (last !== undefined && names.every((name, index) => name === last.names[index])) return last;
  const sorted = names.toSorted();
  const shape = { names, sorted, quoted: sorted.map((name) => JSON.stringify(name)) };
  if (names.length <= MOST_NAMES) shapes[names.length] = shape;
  return shape;
}

/** Edge's own, so no part of what both stores must say alike. */
const NOT_SUMMED: ReadonlySet<string> = new Set(['identity_uuid', 'dashboard_alias']);

/** SHA-256 of what a document says, without what is Edge's own. */
export function documentDigest(item: Readonly<Item>): Buffer {
  return hash('sha256', canonicalItem(item, NOT_SUMMED), 'buffer');
}

const WORDS = 8;
const DIGITS = 8;

/**
 * A checksum over documents in any order: the sum of their digests, each 32-bit word by itself modulo 2^32. Checksums of
 * parts add up to that of the whole, and two sets of documents with the same checksum are the same set.
 */
export interface Checksum {
  add(digest: Buffer): void;
  /** 64 hexadecimal digits. */
  text(): string;
}

/** @param text of a checksum to go on from */
export function createChecksum(text = NO_DOCUMENTS): Checksum {
  const sum = parse(text);
  return {
    add(digest) {
      for (let word = 0; word < WORDS; word++) sum[word] = sum[word]! + digest.readUInt32BE(4 * word);
    },
    text: () => Array.from(sum, (word) => word.toString(16).padStart(DIGITS, '0')).join(''),
  };
}

/** The checksum of all parts together. */
export function addChecksums(texts: readonly string[]): string {
  const total = createChecksum();
  for (const text of texts) total.add(Buffer.from(text, 'hex'));
  return total.text();
}

/** The checksum of nothing. */
export const NO_DOCUMENTS = '0'.repeat(WORDS * DIGITS);

function parse(text: string): Uint32Array {
  const bytes = Buffer.from(text, 'hex');
  return Uint32Array.from({ length: WORDS }, (_, word) => bytes.readUInt32BE(4 * word));
}
