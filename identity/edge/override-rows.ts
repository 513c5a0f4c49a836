import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item } from './document/document.ts';
import { sameValue } from './document/equality.ts';
import { canonicalNumber } from './document/number.ts';
import { withoutReplicationAttributes } from './replication-attributes.ts';

/** Key of a row of the environments table: one identity's override of one feature, for local evaluation. */
export interface OverrideRowIds {
  readonly environmentId: number;
  /** Core's id, as decimal text. */
  readonly featureId: string;
  readonly identityUuid: string;
}

/** Partition and sort key; both are text in this table, even the environment's id. */
export function overrideRowKey({ environmentId, featureId, identityUuid }: OverrideRowIds): Item {
  return {
    environment_id: { S: String(environmentId) },
    document_key: { S: `identity_override:${featureId}:${identityUuid}` },
  };
}

/**
 * The rows of the environments table that belong to an identity document, one per element of its `identity_features`.
 * Flagsmith's migrator writes none, so SDKs that evaluate locally miss every migrated override.
 *
 * @param document as it is or will be in the identities table: its `identity_uuid` is part of the keys
 * @param writtenTime milliseconds since the epoch; `created_date` of such a row is the time of its write
 */
export function overrideRows(environmentId: number, document: Readonly<Item>, writtenTime: number): Item[] {
  const { environment_api_key, identifier, identity_uuid, identity_features } = document;
  if (environment_api_key === undefined || identifier === undefined || identity_uuid?.S === undefined) return [];
  const identityUuid = identity_uuid.S;
  return (identity_features?.L ?? []).flatMap((feature_state) => {
    const featureId = overriddenFeature(feature_state);
    if (featureId === undefined) return [];
    return {
      ...overrideRowKey({ environmentId, featureId, identityUuid }),
      environment_api_key,
      identifier,
      identity_uuid,
      feature_state,
      created_date: { S: isoformat(writtenTime) },
    };
  });
}

/** The feature id of an element of `identity_features`, as canonical decimal text; undefined when it has none. */
export function overriddenFeature(element: AttributeValue): string | undefined {
  const id = element.M?.['feature']?.M?.['id']?.N;
  return id === undefined ? undefined : canonicalNumber(id);
}

/** Whether two rows have the same content, regardless of when they were written. */
export function sameOverrideRow(one: Readonly<Item>, other: Readonly<Item>): boolean {
  const { created_date: _written, ...facts } = withoutReplicationAttributes(one);
  const { created_date: _alsoWritten, ...otherFacts } = withoutReplicationAttributes(other);
  return sameValue({ M: facts }, { M: otherFacts });
}

/** Python's format, with microseconds unless they are zero. */
function isoformat(milliseconds: number): string {
  return new Date(milliseconds)
    .toISOString()
    .replace(/\.(\d{3})Z$/, (_, ms) => `${ms === '000' ? '' : `.${ms}000`}+00:00`);
}

export interface RowDifference {
  /** Rows of overrides that are new or changed. */
  readonly put: readonly Item[];
  /** Keys of rows whose overrides are gone. */
  readonly remove: readonly Item[];
  /** Rows that should exist already, according to the document. */
  readonly kept: readonly Item[];
}

/**
 * The changes of a document's override rows when the document changes; undefined: it does not exist.
 * Rows of unchanged overrides are not written again, because others keep them up to date too.
 */
export function diffOverrideRows(
  environmentId: number,
  before: Readonly<Item> | undefined,
  after: Readonly<Item> | undefined,
  writtenTime: number,
): RowDifference {
  const rowsOf = (document: Readonly<Item> | undefined) =>
    new Map(
      (document === undefined ? [] : overrideRows(environmentId, document, writtenTime)).map((row) => [
        row['document_key']?.S,
        row,
      ]),
    );
  const old = rowsOf(before);
  const wanted = rowsOf(after);
  const put: Item[] = [];
  const kept: Item[] = [];
  for (const [key, row] of wanted) {
    const previous = old.get(key);
    (previous !== undefined && sameOverrideRow(previous, row) ? kept : put).push(row);
  }
  const remove = [...old].filter(([key]) => !wanted.has(key)).map(([, row]) => rowKey(row));
  return { put, remove, kept };
}

function rowKey({ environment_id, document_key }: Item): Item {
  return { environment_id: environment_id!, document_key: document_key! };
}
