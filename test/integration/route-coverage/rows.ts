import { createHash } from 'node:crypto';
import type { EnvironmentReference, EventTarget, WriteEvent } from '@edge-migration/contract/write-event.ts';
import type { Client } from 'pg';

/** An identity in Core's rows, with everything of it that a document shows. */
interface IdentityRows {
  readonly id: number;
  readonly identifier: string;
  readonly projectId: number;
  readonly environmentId: number;
  readonly apiKey: string;
  readonly serverKeys: readonly string[];
  readonly allowClientTraits: boolean;
  readonly persistTraitData: boolean;
  /** JSON of all rows by trait key. */
  readonly traits: Readonly<Record<string, string>>;
  /** JSON of all rows by feature id. */
  readonly overrides: Readonly<Record<string, string>>;
}

/** The possible targets of a request besides identities. */
export interface Rows {
  readonly identities: readonly IdentityRows[];
  readonly traits: readonly { id: number; identity_id: number; trait_key: string }[];
  readonly states: readonly { id: number; identity_id: number | null; environment_id: number; feature_id: number }[];
  readonly options: readonly { id: number; feature_id: number }[];
  readonly features: readonly { id: number; project_id: number; name: string }[];
  readonly environments: readonly { id: number; api_key: string; server_key: string; project_id: number }[];
}

/** The data that an event's handler queries in Core when the event names no identities. */
export interface SpreadRows {
  /** Includes soft-deleted ones. */
  readonly states: readonly {
    id: number;
    identity_id: number | null;
    environment_id: number | null;
    feature_id: number;
  }[];
  readonly options: readonly { id: number; feature_id: number }[];
  readonly holdings: readonly { feature_state_id: number; multivariate_feature_option_id: number }[];
  readonly features: readonly { id: number; project_id: number }[];
  readonly environments: readonly { id: number; api_key: string; project_id: number }[];
  readonly deletedProjects: readonly number[];
}

const IDENTITIES = `
  SELECT i.id, i.identifier, e.project_id AS "projectId", e.id AS "environmentId", e.api_key AS "apiKey",
    array(SELECT key FROM environments_environmentapikey WHERE environment_id = e.id) AS "serverKeys",
    e.allow_client_traits AS "allowClientTraits", o.persist_trait_data AS "persistTraitData",
    coalesce((SELECT jsonb_object_agg(trait_key, to_jsonb(t)::text) FROM environments_trait t WHERE identity_id = i.id), '{}') AS traits,
    coalesce((SELECT jsonb_object_agg(feature_id, rows) FROM (
      SELECT s.feature_id, jsonb_agg(jsonb_build_array(e.use_v2_feature_versioning, s.id, s.enabled, s.version, s.live_from, f.name, f.type, v.type,
        v.integer_value, v.string_value, v.boolean_value, m.rows) ORDER BY s.id)::text AS rows
      FROM features_featurestate s
      JOIN features_feature f ON f.id = s.feature_id
      LEFT JOIN features_featurestatevalue v ON v.feature_state_id = s.id
      LEFT JOIN LATERAL (SELECT jsonb_agg(jsonb_build_array(to_jsonb(a), to_jsonb(b)) ORDER BY a.id) AS rows
        FROM multivariate_multivariatefeaturestatevalue a
        JOIN multivariate_multivariatefeatureoption b ON b.id = a.multivariate_feature_option_id
        WHERE a.feature_state_id = s.id) AS m ON true
      WHERE s.identity_id = i.id AND s.deleted_at IS NULL GROUP BY s.feature_id) AS live), '{}') AS overrides
  FROM environments_identity i
  JOIN environments_environment e ON e.id = i.environment_id
  JOIN projects_project p ON p.id = e.project_id
  JOIN organisations_organisation o ON o.id = p.organisation_id
  ORDER BY i.id`;

/** Everything that is compared before and after a request. */
export async function readRows(client: Client): Promise<Rows> {
  const all = async (sql: string) => (await client.query(sql)).rows;
  return {
    identities: await all(IDENTITIES),
    traits: await all('SELECT id, identity_id, trait_key FROM environments_trait ORDER BY id'),
    states: await all(
      'SELECT id, identity_id, environment_id, feature_id FROM features_featurestate WHERE deleted_at IS NULL ORDER BY id',
    ),
    options: await all('SELECT id, feature_id FROM multivariate_multivariatefeatureoption ORDER BY id'),
    features: await all('SELECT id, project_id, name FROM features_feature WHERE deleted_at IS NULL ORDER BY id'),
    environments: await all(
      `SELECT e.id, e.api_key, k.key AS server_key, e.project_id FROM environments_environment e
       JOIN environments_environmentapikey k ON k.environment_id = e.id WHERE e.deleted_at IS NULL ORDER BY e.id`,
    ),
  };
}

/** The data that an event's handler may query in Core. */
export async function readSpreadRows(client: Client): Promise<SpreadRows> {
  const all = async (sql: string) => (await client.query(sql)).rows;
  return {
    states: await all('SELECT id, identity_id, environment_id, feature_id FROM features_featurestate'),
    options: await all('SELECT id, feature_id FROM multivariate_multivariatefeatureoption'),
    holdings: await all(
      'SELECT feature_state_id, multivariate_feature_option_id FROM multivariate_multivariatefeaturestatevalue',
    ),
    features: await all('SELECT id, project_id FROM features_feature'),
    environments: await all('SELECT id, api_key, project_id FROM environments_environment'),
    deletedProjects: (await all('SELECT id FROM projects_project WHERE deleted_at IS NOT NULL')).map(({ id }) => id),
  };
}

/** One document of Edge that has changed. */
export interface Change {
  /** Its former content if it is gone, otherwise the current one. */
  readonly identity: IdentityRows;
  readonly kind: 'appeared' | 'gone' | 'changed';
  readonly traits: readonly string[];
  readonly overrides: readonly number[];
}

/** Documents whose rows differ, by their name on Edge: environment key and identifier. */
export function changesOf(before: Rows, after: Rows): readonly Change[] {
  const [old, current] = [byName(before), byName(after)];
  const changes: Change[] = [];
  for (const [name, identity] of current) {
    const was = old.get(name);
    const traits = was === undefined ? [] : differing(was.traits, identity.traits);
    const overrides = was === undefined ? [] : differing(was.overrides, identity.overrides).map(Number);
    if (was === undefined || was.id !== identity.id)
      changes.push({ identity, kind: 'appeared', traits: [], overrides: [] });
    else if (traits.length + overrides.length > 0) changes.push({ identity: was, kind: 'changed', traits, overrides });
  }
  for (const [name, identity] of old) {
    if (!current.has(name)) changes.push({ identity, kind: 'gone', traits: [], overrides: [] });
  }
  return changes;
}

function byName({ identities }: Rows): Map<string, IdentityRows> {
  return new Map(identities.map((identity) => [`${identity.apiKey}\0${identity.identifier}`, identity]));
}

function differing(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => before[key] !== after[key]);
}

/**
 * The part of a change that no event covers; empty if all is covered.
 *
 * @param after Core's rows when the events are handled
 */
export function uncovered(change: Change, events: readonly WriteEvent[], after: SpreadRows): readonly string[] {
  const covering = events.flatMap((event) => spread(event, after)).filter(({ target }) => names(target, change, after));
  if (covering.length === 0) return [`${change.kind} ${change.identity.identifier}`];
  const touches = (part: 'traits' | 'overrides', key: string | number) =>
    covering.some((event) => {
      if (part === 'traits' && !gatesOpen(event, change.identity)) return false;
      const touched: 'all' | readonly (string | number)[] = event.touched[part];
      return touched === 'all' || touched.includes(key);
    });
  return [
    ...change.traits.filter((key) => !touches('traits', key)).map((key) => `trait ${key}`),
    ...change.overrides.filter((feature) => !touches('overrides', feature)).map((feature) => `override ${feature}`),
  ];
}

/** The events derived from one whose target is determined by Core's rows. */
function spread(event: WriteEvent, rows: SpreadRows): readonly WriteEvent[] {
  const { target, touched } = event;
  const about = (to: EventTarget, feature?: number): WriteEvent => {
    const overrides =
      feature === undefined || touched.overrides === 'all' ? touched.overrides : [...touched.overrides, feature];
    return { ...event, target: to, touched: { ...touched, overrides } };
  };
  const features = (ids: readonly number[]) => ids.map((featureId) => about({ kind: 'feature', featureId }, featureId));
  switch (target.kind) {
    case 'feature':
      return features([target.featureId, ...holders(optionsOf(target.featureId, rows), rows)]);
    case 'features': {
      const { of } = target;
      const projectId =
        'projectId' in of
          ? of.projectId
          : rows.environments.find((one) =>
              'clientKey' in of ? one.api_key === of.clientKey : 'environmentId' in of && one.id === of.environmentId,
            )?.project_id;
      const ids = rows.features.filter((one) => one.project_id === projectId).map(({ id }) => id);
      return features([...ids, ...ids.flatMap((id) => holders(optionsOf(id, rows), rows))]);
    }
    case 'option': {
      const own = rows.options.filter(({ id }) => id === target.optionId).map((option) => option.feature_id);
      return features([...own, ...holders([target.optionId], rows)]);
    }
    case 'featureState': {
      const state = rows.states.find(({ id }) => id === target.featureStateId);
      if (state === undefined) return [];
      const { feature_id, environment_id, identity_id } = state;
      if (target.moved && environment_id !== null)
        return [about({ kind: 'environment', environment: { environmentId: environment_id } }, feature_id)];
      return identity_id === null ? [] : [about({ kind: 'identityId', identityId: identity_id }, feature_id)];
    }
    case 'deletedProjects':
      return rows.deletedProjects.map((projectId) => about({ kind: 'project', projectId }));
    default:
      return [event];
  }
}

function optionsOf(featureId: number, { options }: SpreadRows): number[] {
  return options.filter((option) => option.feature_id === featureId).map(({ id }) => id);
}

/** Features of the overrides that hold one of these options. */
function holders(options: readonly number[], { holdings, states }: SpreadRows): number[] {
  const held = holdings.filter((one) => options.includes(one.multivariate_feature_option_id));
  return states.filter(({ id }) => held.some((one) => one.feature_state_id === id)).map((state) => state.feature_id);
}

/** Whether the event's handler for this target reaches the change's document. */
function names(target: EventTarget, { identity, kind }: Change, { states }: SpreadRows): boolean {
  switch (target.kind) {
    case 'identity':
      return refersTo(target.environment, identity) && target.identifier === identity.identifier;
    case 'identityId':
      // The id of a deleted identity leads nowhere.
      return kind !== 'gone' && target.identityId === identity.id;
    case 'environment':
      return refersTo(target.environment, identity);
    case 'feature':
      return states.some((state) => state.identity_id === identity.id && state.feature_id === target.featureId);
    case 'project':
      return target.projectId === identity.projectId;
    default:
      return false;
  }
}

function refersTo(reference: EnvironmentReference, identity: IdentityRows): boolean {
  if ('clientKey' in reference) return reference.clientKey === identity.apiKey;
  if ('environmentId' in reference) return reference.environmentId === identity.environmentId;
  const hashes = identity.serverKeys.map((key) => createHash('sha256').update(key).digest('hex'));
  return hashes.includes(reference.serverKeySha256);
}

/** An event's handler leaves traits alone when a setting says that Core ignored them. */
function gatesOpen({ traitGates }: WriteEvent, identity: IdentityRows): boolean {
  if (traitGates.includes('clientTraits') && !identity.allowClientTraits) return false;
  return !(traitGates.includes('persistTraitData') && !identity.persistTraitData);
}
