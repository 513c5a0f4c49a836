import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { CoreEnvironment, CoreIdentity, CoreTrait } from '../../core/identity.ts';
import { identityUuid } from '../identity-uuid.ts';
import { chooseOverrides, encodeOverride } from '../override.ts';
import { itemBytes, MAX_ITEM_BYTES, utf8Bytes } from './size.ts';
import { type SkipReason, UnstorableError } from './skip.ts';
import { encodeSystemTraits } from './system-traits.ts';
import { traitValue } from './trait.ts';

export { SKIP_REASONS, type SkipReason } from './skip.ts';

/** An item of the identities table, as DynamoDB's JSON. */
export type Item = Record<string, AttributeValue>;

export interface EncodedDocument {
  readonly kind: 'document';
  /** `composite_key`, the table's partition key. */
  readonly key: string;
  readonly item: Item;
  /** Size of the item, by DynamoDB's size rules. */
  readonly bytes: number;
}

export interface SkippedIdentity {
  readonly kind: 'skipped';
  readonly environmentId: number;
  readonly identityId: number;
  readonly reason: SkipReason;
  /** Names the trait, override or limit by id; never a value or an identifier. */
  readonly detail: string;
}

export interface EncodeOptions {
  /** The uuid that the Edge document already has; links to it must stay valid. */
  readonly identityUuid?: string | undefined;
}

/** Limit of index sort keys, and so of identifiers, in bytes. */
const MAX_IDENTIFIER_BYTES = 1024;
/** Limit of partition keys, in bytes. */
const MAX_KEY_BYTES = 2048;

/**
 * Encodes an identity as Flagsmith's own code writes it (docs/flagsmith.md, "Identity document"), or says why Edge
 * cannot hold it. Never throws for values that Core's columns can hold.
 */
export function encodeIdentity(
  identity: CoreIdentity,
  environment: Pick<CoreEnvironment, 'id' | 'apiKey' | 'useV2FeatureVersioning'>,
  options: EncodeOptions = {},
): EncodedDocument | SkippedIdentity {
  try {
    const key = compositeKey(environment.apiKey, identity.identifier);
    checkKeys(key, identity.identifier);
    const item: Item = {
      composite_key: { S: key },
      environment_api_key: { S: environment.apiKey },
      identifier: { S: identity.identifier },
      created_date: { S: isoformat(identity.createdDate) },
      identity_uuid: { S: options.identityUuid ?? identityUuid(environment.apiKey, identity.identifier) },
      django_id: { N: String(identity.id) },
      identity_traits: { L: encodeTraits(identity.traits) },
      identity_features: {
        L: chooseOverrides(identity.overrides, environment, identity.overrideWinner).map(encodeOverride),
      },
    };
    // Absent when there are none, as Flagsmith writes it.
    const systemTraits = encodeSystemTraits(identity.systemTraits);
    if (systemTraits !== undefined) item['system_traits'] = systemTraits;
    const bytes = itemBytes(item);
    if (bytes > MAX_ITEM_BYTES) throw new UnstorableError('DocumentTooLarge', `${bytes} bytes of ${MAX_ITEM_BYTES}`);
    return { kind: 'document', key, item, bytes };
  } catch (error) {
    if (!(error instanceof UnstorableError)) throw error;
    return {
      kind: 'skipped',
      environmentId: environment.id,
      identityId: identity.id,
      reason: error.reason,
      detail: error.message,
    };
  }
}

/** The identities table's partition key. */
export function compositeKey(environmentApiKey: string, identifier: string): string {
  return `${environmentApiKey}_${identifier}`;
}

/** Whether a document can have this identifier and this key; DynamoDB refuses queries for others. */
export function canBeStored(identifier: string, key = identifier): boolean {
  try {
    checkKeys(key, identifier);
    return true;
  } catch (error) {
    if (error instanceof UnstorableError) return false;
    throw error;
  }
}

/** @throws UnstorableError */
function checkKeys(key: string, identifier: string): void {
  if (identifier === '') throw new UnstorableError('IdentifierEmpty', 'identifier has 0 bytes');
  if (key.length > identifier.length && key === compositeKey('', identifier)) {
    throw new UnstorableError('EnvironmentKeyEmpty', 'environment key has 0 bytes');
  }
  // No text has more than three bytes per UTF-16 unit, so most need no counting.
  if (3 * key.length <= MAX_IDENTIFIER_BYTES) return;
  const bytes = utf8Bytes(identifier);
  if (bytes > MAX_IDENTIFIER_BYTES) {
    throw new UnstorableError('IdentifierTooLong', `identifier has ${bytes} bytes of ${MAX_IDENTIFIER_BYTES}`);
  }
  const keyBytes = utf8Bytes(key);
  if (keyBytes > MAX_KEY_BYTES)
    throw new UnstorableError('KeyTooLong', `key has ${keyBytes} bytes of ${MAX_KEY_BYTES}`);
}

function encodeTraits(traits: readonly CoreTrait[]): AttributeValue[] {
  const encoded: AttributeValue[] = [];
  for (const trait of traits) {
    const value = traitValue(trait);
    if (value !== undefined) encoded.push({ M: { trait_key: { S: trait.key }, trait_value: value } });
  }
  return encoded;
}

const TIMESTAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?$/;

/** Python's `isoformat`: six fraction digits, or none when the fraction is 0. Infinite dates as Django reads them. */
function isoformat(timestamp: string): string {
  const [, seconds, fraction] = TIMESTAMP.exec(timestamp) ?? [];
  if (seconds !== undefined) return `${seconds}${fraction === undefined ? '' : `.${fraction.padEnd(6, '0')}`}+00:00`;
  if (timestamp === 'infinity') return '9999-12-31T23:59:59.999999+00:00';
  if (timestamp === '-infinity') return '0001-01-01T00:00:00+00:00';
  throw new UnstorableError('CreatedDateOutOfRange', 'created_date is outside the years 1 to 9999');
}
