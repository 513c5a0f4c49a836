import type { Item } from '../document/document.ts';
import { ownershipOf } from '../ownership.ts';
import { createCondition, createNames, createValues } from './expressions.ts';

/** Attributes as they were read; `undefined` for one that must not exist. */
export type Expected = Readonly<Record<string, Item[string] | undefined>>;

/** A conditional write of one document, or only a check of it. */
export type DocumentWrite =
  /** Stores the whole document if the one in the table is as `expected`; `undefined`: if there is none. */
  | { readonly kind: 'put'; readonly item: Item; readonly expected: Item | undefined }
  /** Changes single attributes of a document that exists, and leaves all others as they are. */
  | {
      readonly kind: 'update';
      readonly key: string;
      readonly set: Item;
      readonly remove?: readonly string[] | undefined;
      readonly expected: Expected;
    }
  | { readonly kind: 'delete'; readonly expected: Item }
  /** Writes nothing; in a transaction the other writes depend on it. */
  | { readonly kind: 'check'; readonly key: string; readonly expected: Expected }
  /** As `check`, for a document that must not exist. */
  | { readonly kind: 'gone'; readonly key: string };

/** Writes nothing. */
export type WriteCheck = Extract<DocumentWrite, { kind: 'check' | 'gone' }>;

/** Attributes that others may add to an identity document at any time. */
const OPTIONAL_ATTRIBUTES = ['dashboard_alias', 'system_traits'];

/**
 * The parameters of the write, in the form that DynamoDB's single calls and its transactions share.
 *
 * Every condition compares attributes with the values that were read: DynamoDB compares lists and maps deeply (list
 * order counts, map order does not, 10 = 10.0).
 */
export function describeWrite(table: string, keyName: string, write: DocumentWrite) {
  const names = createNames();
  const values = createValues();
  const base = (expected: Expected) => ({
    TableName: table,
    ConditionExpression: createCondition(names, values, expected),
  });
  const rest = () => ({ ...names.attributes(), ...values.attributes() });
  switch (write.kind) {
    case 'put': {
      const { item, expected } = write;
      // An attribute that appeared meanwhile must not be erased by this put.
      const unseen = expected === undefined ? [keyName] : [...Object.keys(item), ...OPTIONAL_ATTRIBUTES];
      return { kind: write.kind, input: { ...base({ ...absent(unseen), ...expected }), Item: item, ...rest() } };
    }
    case 'update': {
      const { key, set, remove = [], expected } = write;
      const sets = Object.entries(set).map(([name, to]) => `${names.add(name)} = ${values.add(to)}`);
      const removes = remove.map((name) => names.add(name));
      const clauses = [
        ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
        ...(removes.length > 0 ? [`REMOVE ${removes.join(', ')}`] : []),
      ];
      // Without the key in the condition an update would create a document.
      const condition = base({ [keyName]: { S: key }, ...expected });
      const Key = { [keyName]: { S: key } };
      return { kind: write.kind, input: { ...condition, Key, UpdateExpression: clauses.join(' '), ...rest() } };
    }
    case 'delete': {
      const { expected } = write;
      const condition = base({ ...absent(OPTIONAL_ATTRIBUTES), ...expected });
      return { kind: write.kind, input: { ...condition, Key: { [keyName]: expected[keyName]! }, ...rest() } };
    }
    case 'check': {
      const { key, expected } = write;
      const condition = base({ [keyName]: { S: key }, ...expected });
      return { kind: write.kind, input: { ...condition, Key: { [keyName]: { S: key } }, ...rest() } };
    }
    case 'gone': {
      const condition = base({ [keyName]: undefined });
      return { kind: 'check' as const, input: { ...condition, Key: { [keyName]: { S: write.key } }, ...rest() } };
    }
  }
}

/** The document before the write, on which rows removed first depend. */
export function checkBefore(write: DocumentWrite): WriteCheck {
  if (write.kind === 'check' || write.kind === 'gone') return write;
  if (write.kind === 'update') return { kind: 'check', key: write.key, expected: write.expected };
  const { expected } = write;
  if (expected === undefined) throw new TypeError('a document that is not there has no rows to be removed');
  return { kind: 'check', key: expected['composite_key']?.S ?? '', expected };
}

/** The document after the write, on which rows added later depend. */
export function checkAfter(write: DocumentWrite): WriteCheck {
  switch (write.kind) {
    case 'put': {
      const { composite_key, identity_features, identity_uuid } = write.item;
      const expected = { ...ownershipOf(write.item), identity_features, identity_uuid };
      return { kind: 'check', key: composite_key?.S ?? '', expected };
    }
    case 'update':
      return { kind: 'check', key: write.key, expected: { ...write.expected, ...write.set } };
    case 'delete':
      throw new TypeError('a document that is deleted gets no rows');
    case 'check':
    case 'gone':
      return write;
  }
}

/** The known part of the document that the write makes, for its size. */
export function writtenItem(write: DocumentWrite): Item {
  switch (write.kind) {
    case 'put':
      return write.item;
    case 'update':
      return { ...known(write.expected), ...write.set };
    case 'delete':
      return write.expected;
    case 'check':
    case 'gone':
      return {};
  }
}

function known(expected: Expected): Item {
  return Object.fromEntries(
    Object.entries(expected).filter((entry): entry is [string, Item[string]] => entry[1] !== undefined),
  );
}

function absent(names: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
