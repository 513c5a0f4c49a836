/**
 * A DynamoDB that answers at once, in its own process, so that a benchmark measures the applier alone. It has the
 * documents of environment `key-1` as the bench's Core first made them, and none of any other; it confirms every
 * write and keeps nothing. Prints its URL.
 */
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { compositeKey, encodeIdentity } from '@edge-migration/identity/edge/document/document.ts';
import { describeTable, serveStore } from '../store.ts';
import { CREATED_DATE, traitsOf } from './people.ts';

const documents = new Map<string, Item | undefined>();

function documentOf(key: string): Item | undefined {
  if (!documents.has(key)) documents.set(key, makeDocument(key));
  return documents.get(key);
}

function makeDocument(key: string): Item | undefined {
  const number = /^key-1_person-(\d+)$/.exec(key)?.[1];
  if (number === undefined) return undefined;
  const index = Number(number);
  const identifier = `person-${index}`;
  const traits = traitsOf(index).map(({ key, value }, place) => ({
    id: 3 * index + place + 1,
    key,
    type: 'unicode',
    value,
  }));
  const facts = {
    ...{ id: index + 1, identifier, createdDate: CREATED_DATE, systemTraits: null, traits, overrides: [] },
    overrideWinner: 'highestId' as const,
  };
  const environment = { id: 1, apiKey: 'key-1', useV2FeatureVersioning: false };
  const encoded = encodeIdentity(facts, environment);
  if (encoded.kind !== 'document' || encoded.key !== compositeKey('key-1', identifier)) throw new Error(key);
  return encoded.item;
}

interface Body {
  readonly RequestItems?: Readonly<Record<string, { readonly Keys: readonly Item[] }>>;
  readonly Statements?: readonly unknown[];
  readonly Key?: Item;
  readonly TableName?: string;
}

function answer(operation: string | undefined, body: Body): object {
  switch (operation) {
    case 'BatchGetItem':
      return {
        Responses: Object.fromEntries(
          Object.entries(body.RequestItems ?? {}).map(([table, { Keys }]) => [
            table,
            Keys.map(({ composite_key }) => documentOf(composite_key?.S ?? '')).filter((item) => item !== undefined),
          ]),
        ),
      };
    case 'BatchExecuteStatement':
      return { Responses: (body.Statements ?? []).map(() => ({})) };
    case 'GetItem':
      return { Item: documentOf(body.Key?.['composite_key']?.S ?? '') };
    case 'DescribeTable':
      return describeTable(body.TableName ?? '');
    default:
      return {};
  }
}

serveStore((operation, body) => Buffer.from(JSON.stringify(answer(operation, JSON.parse(body.toString())))));
