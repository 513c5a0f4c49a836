import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { overriddenFeature } from '@edge-migration/identity/edge/override-rows.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import type { FindingKind } from '@edge-migration/identity/edge/verdict.ts';

/** One way in which a document or its rows can be wrong, and the expected finding. */
export interface Corruption {
  readonly name: string;
  /** Only applies to documents with at least one override. */
  readonly needsOverride?: boolean;
  readonly finds: readonly FindingKind[];
  /** The sums over both stores do not change. */
  readonly isNotSummed?: boolean;
  apply(edge: EdgeStore, item: Item, environmentId: number): Promise<unknown>;
}

const text = (S: string): AttributeValue => ({ S });
const traits = (item: Item) => item['identity_traits']?.L ?? [];
const features = (item: Item) => item['identity_features']?.L ?? [];
const trait = (key: string, value: AttributeValue): AttributeValue => ({
  M: { trait_key: text(key), trait_value: value },
});

/** Changes attributes of the document; undefined removes one. */
function change(changes: (item: Item) => Record<string, AttributeValue | undefined>): Corruption['apply'] {
  return (edge, item) => {
    const changed = Object.entries({ ...item, ...changes(item) }).filter(([, value]) => value !== undefined);
    return edge.identities.putIfUnchanged(Object.fromEntries(changed) as Item, item);
  };
}

const withTraits = (edit: (all: AttributeValue[]) => AttributeValue[]) =>
  change((item) => ({ identity_traits: { L: edit([...traits(item)]) } }));
const withFeatures = (edit: (all: AttributeValue[]) => AttributeValue[]) =>
  change((item) => ({ identity_features: { L: edit([...features(item)]) } }));

const rowKey = (item: Item, environmentId: number, featureId = overriddenFeature(features(item)[0]!)) => ({
  environment_id: String(environmentId),
  document_key: `identity_override:${featureId}:${item['identity_uuid']?.S}`,
});

function row(item: Item, environmentId: number, featureId: string, state: AttributeValue): Item {
  const { environment_id, document_key } = rowKey(item, environmentId, featureId);
  const { environment_api_key, identifier, identity_uuid } = item;
  return {
    environment_id: text(environment_id),
    document_key: text(document_key),
    environment_api_key: environment_api_key!,
    identifier: identifier!,
    identity_uuid: identity_uuid!,
    feature_state: state,
    created_date: text('2026-01-01T00:00:00+00:00'),
  };
}

/** Differs for each document: rows of two documents with the same uuid would be the same rows. */
const otherUuid = (item: Item) => `11111111-2222-4333-8444-${(item['django_id']?.N ?? '').padStart(12, '0')}`;

export const CORRUPTIONS: readonly Corruption[] = [
  { name: 'missing', finds: ['missing'], apply: (edge, item) => edge.identities.deleteIfUnchanged(item) },
  {
    name: 'extra',
    finds: ['extra'],
    apply: (edge, item) => {
      const identifier = `${item['identifier']?.S}-unknown`;
      const key = text(`${item['environment_api_key']?.S}_${identifier}`);
      const extra = { ...item, identifier: text(identifier), composite_key: key, identity_features: { L: [] } };
      return edge.identities.putIfUnchanged({ ...extra, django_id: { N: '2000000000' } }, undefined);
    },
  },
  {
    name: 'one trait changed',
    finds: ['differing'],
    apply: withTraits(([first, ...rest]) => [trait(first!.M!['trait_key']!.S!, text('changed')), ...rest]),
  },
  { name: 'one trait gone', finds: ['differing'], apply: withTraits((all) => all.slice(1)) },
  { name: 'one trait more', finds: ['differing'], apply: withTraits((all) => [...all, trait('added', text('x'))]) },
  {
    name: 'type of a trait changed',
    finds: ['differing'],
    apply: withTraits(([first, ...rest]) => {
      const value = JSON.stringify(first!.M!['trait_value']);
      return [trait(first!.M!['trait_key']!.S!, value.startsWith('{"BOOL') ? { N: '1' } : { BOOL: true }), ...rest];
    }),
  },
  {
    name: 'uuid of no use',
    finds: ['malformed'],
    isNotSummed: true,
    apply: change(() => ({ identity_uuid: text('not-a-uuid') })),
  },
  {
    name: 'list cut short',
    finds: ['differing'],
    apply: withTraits((all) => all.slice(0, Math.floor(all.length / 2))),
  },
  { name: 'foreign attribute', finds: ['differing'], apply: change(() => ({ leftover: text('of another tool') })) },
  {
    name: 'creation date changed',
    finds: ['differing'],
    apply: change(() => ({ created_date: text('2001-01-01T00:00:00+00:00') })),
  },
  {
    name: 'list that is none',
    finds: ['malformed', 'differing'],
    apply: change(() => ({ identity_traits: text('none') })),
  },
  {
    name: 'trait without key',
    finds: ['malformed', 'differing'],
    apply: withTraits((all) => [...all, { M: { trait_value: text('x') } }]),
  },
  {
    name: 'text too long to be read',
    finds: ['malformed', 'differing'],
    apply: withTraits((all) => [...all, trait('long', text('x'.repeat(2001)))]),
  },
  {
    name: 'document of an earlier identity',
    finds: ['missing', 'extra'],
    apply: change(() => ({ django_id: { N: '2000000001' } })),
  },
  {
    name: 'key that does not follow from the attributes',
    finds: ['extra', 'malformed'],
    apply: (edge, item) =>
      edge.identities.putIfUnchanged({ ...item, composite_key: text(`stray_${item['identifier']?.S}`) }, undefined),
  },
  {
    name: 'override row gone',
    isNotSummed: true,
    needsOverride: true,
    finds: ['rows'],
    apply: (edge, item, environmentId) => edge.overrideRows!.delete(rowKey(item, environmentId)),
  },
  {
    name: 'override row changed',
    isNotSummed: true,
    needsOverride: true,
    finds: ['rows'],
    apply: (edge, item, environmentId) => {
      const [state] = features(item);
      const changed = { M: { ...state!.M, enabled: { BOOL: !state!.M!['enabled']!.BOOL } } };
      return edge.overrideRows!.putMany([row(item, environmentId, overriddenFeature(state!)!, changed)]);
    },
  },
  {
    name: 'override row left over',
    isNotSummed: true,
    finds: ['rows'],
    apply: (edge, item, environmentId) =>
      edge.overrideRows!.putMany([row(item, environmentId, '2000000002', { M: { enabled: { BOOL: true } } })]),
  },
  {
    name: 'override gone, and its row not',
    needsOverride: true,
    // The row is found as well, as one without its override.
    finds: ['differing'],
    apply: withFeatures((all) => all.slice(1)),
  },
  {
    name: 'override changed',
    needsOverride: true,
    finds: ['differing', 'rows'],
    apply: withFeatures(([first, ...rest]) => [
      { M: { ...first!.M, enabled: { BOOL: !first!.M!['enabled']!.BOOL } } },
      ...rest,
    ]),
  },
  {
    name: 'two overrides of one feature',
    needsOverride: true,
    finds: ['malformed', 'differing'],
    apply: withFeatures((all) => [...all, all[0]!]),
  },
  {
    name: 'uuid of another, and rows under the right one',
    isNotSummed: true,
    needsOverride: true,
    finds: ['rows', 'uuid'],
    apply: change((item) => ({ identity_uuid: text(otherUuid(item)) })),
  },
];
