import { randomUUID } from 'node:crypto';
import type { EnvironmentReference, TouchedParts, WriteEvent } from '@edge-migration/contract/write-event.ts';
import { Client } from 'pg';
import { KEYS } from './population.ts';

const RENAMED_KEY = 'renamed-key';

type Changed = { environmentId: number; identifier: string; traits: string[]; overrides: number[] };

/** Each applies to a twentieth of all identities: the change in Core's rows, and the parts that it touches. */
const CHANGES: readonly { readonly name: string; readonly where: string; readonly statement: string }[] = [
  {
    name: 'deletes',
    where: 'id % 20 = 0',
    statement: `
      WITH states AS (DELETE FROM features_featurestate USING gone WHERE identity_id = gone.id RETURNING features_featurestate.id),
           vals AS (DELETE FROM features_featurestatevalue USING states WHERE feature_state_id = states.id),
           percentages AS (DELETE FROM multivariate_multivariatefeaturestatevalue USING states WHERE feature_state_id = states.id),
           traits AS (DELETE FROM environments_trait USING gone WHERE identity_id = gone.id),
           identities AS (DELETE FROM environments_identity i USING gone WHERE i.id = gone.id)
      SELECT environment_id AS "environmentId", identifier, '{}'::text[] AS traits, '{}'::int[] AS overrides FROM gone`,
  },
  {
    name: 'sets a trait',
    where: 'id % 20 = 1',
    statement: trait("SET value_type = 'unicode', string_value = 'changed'"),
  },
  {
    name: 'sets a trait that Edge cannot store',
    where: 'id % 20 = 2',
    statement: trait("SET value_type = 'unicode', string_value = repeat('9', 39)"),
  },
  {
    name: 'changes overrides',
    where: 'id % 20 = 3',
    statement: `
      WITH states AS (UPDATE features_featurestate s SET enabled = NOT enabled FROM gone WHERE s.identity_id = gone.id
                      RETURNING s.identity_id, s.feature_id)
      SELECT environment_id AS "environmentId", identifier, '{}'::text[] AS traits, array_agg(DISTINCT feature_id) AS overrides
        FROM gone JOIN states ON identity_id = gone.id GROUP BY 1, 2`,
  },
  {
    name: 'deletes traits',
    where: 'id % 20 = 4',
    statement: `
      WITH traits AS (DELETE FROM environments_trait t USING gone WHERE t.identity_id = gone.id RETURNING t.identity_id, t.trait_key)
      SELECT environment_id AS "environmentId", identifier, array_agg(trait_key) AS traits, '{}'::int[] AS overrides
        FROM gone JOIN traits ON identity_id = gone.id GROUP BY 1, 2`,
  },
  {
    name: 'creates another identity',
    where: 'id % 20 = 5',
    statement: `
      WITH created AS (
        INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
        SELECT 'created-' || id, now(), environment_id, '{}' FROM gone RETURNING id, identifier, environment_id),
      traits AS (
        INSERT INTO environments_trait (trait_key, value_type, integer_value, created_date, identity_id)
        SELECT 'plan', 'int', id, now(), id FROM created)
      SELECT environment_id AS "environmentId", identifier, '{plan}'::text[] AS traits, '{}'::int[] AS overrides FROM created`,
  },
];

/** Each identity's first trait. */
function trait(set: string): string {
  return `
    WITH first AS (SELECT min(t.id) AS id FROM environments_trait t JOIN gone ON t.identity_id = gone.id GROUP BY identity_id),
         traits AS (UPDATE environments_trait t ${set} FROM first WHERE t.id = first.id RETURNING t.identity_id, t.trait_key)
    SELECT environment_id AS "environmentId", identifier, array_agg(trait_key) AS traits, '{}'::int[] AS overrides
      FROM gone JOIN traits ON identity_id = gone.id GROUP BY 1, 2`;
}

/**
 * Changes a good quarter of Core's identities, then the client key of environment 2.
 *
 * @returns an event for each change, as a sidecar would send them, with the former keys
 */
export async function changeCore(databaseUrl: string): Promise<WriteEvent[]> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const events: WriteEvent[] = [];
    for (const { where, statement } of CHANGES) {
      const chosen = `gone AS (SELECT id, environment_id, identifier FROM environments_identity WHERE ${where})`;
      const { rows } = await client.query<Changed>(statement.replace('WITH', `WITH ${chosen},`));
      events.push(...rows.map(eventOf));
    }
    await client.query(`UPDATE environments_environment SET api_key = $1 WHERE id = 2`, [RENAMED_KEY]);
    return [...events, ...renamed()];
  } finally {
    await client.end();
  }
}

function eventOf({ environmentId, identifier, traits, overrides }: Changed): WriteEvent {
  const isDeleted = traits.length + overrides.length === 0;
  const environment = { clientKey: KEYS[environmentId]! };
  return event(
    { kind: 'identity', environment, identifier },
    isDeleted ? { traits: 'all', overrides: 'all' } : { traits, overrides },
  );
}

function renamed(): WriteEvent[] {
  const whole = (environment: EnvironmentReference) => ({ kind: 'environment' as const, environment });
  return [
    event(whole({ clientKey: KEYS[2]! }), { traits: [], overrides: [] }),
    event(whole({ environmentId: 2 }), { traits: [], overrides: [], moved: true }),
  ];
}

/** Long enough ago to be handled only once. */
function event(target: WriteEvent['target'], touched: TouchedParts): WriteEvent {
  return {
    version: 1,
    id: randomUUID(),
    target,
    touched,
    traitGates: [],
    outcome: 'known',
    observedTime: new Date(Date.now() - 120_000).toISOString(),
    route: 'test',
    instance: 'api-0/uid-0',
  };
}
