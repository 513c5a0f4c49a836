import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { CoreEnvironment, CoreIdentity } from '../../core/identity.ts';
import type { Pending } from '../merge.ts';
import { chooseOverrides, encodeOverride } from '../override.ts';
import { canBeStored, compositeKey, type Item } from './document.ts';
import { UnstorableError } from './skip.ts';
import { traitValue } from './trait.ts';

/** The storable part of an identity that a document cannot hold as a whole. */
export interface DocumentPart {
  /** Core's id, traits and overrides as in the whole document, without those in {@link left}; no other attributes. */
  readonly item: Item;
  /** Traits and overrides that Edge cannot store. */
  readonly left: Pending;
}

/**
 * The part of an unstorable identity that replay keeps following. It may be larger than a document can be.
 *
 * @returns undefined where no document can have the identity's key
 */
export function encodePart(
  identity: CoreIdentity,
  environment: Pick<CoreEnvironment, 'id' | 'apiKey' | 'useV2FeatureVersioning'>,
): DocumentPart | undefined {
  if (!canBeStored(identity.identifier, compositeKey(environment.apiKey, identity.identifier))) return undefined;
  const traits = new Set<string>();
  const overrides = new Set<string>();
  const identity_traits = identity.traits.flatMap((trait) => {
    const value = encodeOr(() => traitValue(trait), traits, trait.key);
    return value === undefined ? [] : { M: { trait_key: { S: trait.key }, trait_value: value } };
  });
  const identity_features = chooseOverrides(identity.overrides, environment, identity.overrideWinner).flatMap(
    (override) => encodeOr(() => encodeOverride(override), overrides, String(override.featureId)) ?? [],
  );
  const item: Item = {
    django_id: { N: String(identity.id) },
    identity_traits: { L: identity_traits },
    identity_features: { L: identity_features },
  };
  return { item, left: { traits, overrides } };
}

function encodeOr(
  encode: () => AttributeValue | undefined,
  left: Set<string>,
  key: string,
): AttributeValue | undefined {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof UnstorableError)) throw error;
    left.add(key);
    return undefined;
  }
}
