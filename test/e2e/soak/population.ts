import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import pg from 'pg';
import type { SeededProject } from '../../core/seed.ts';

interface SampledIdentity {
  readonly id: number;
  readonly identifier: string;
  readonly apiKey: string;
}

/** The possible targets of administrators' requests: some of Core's rows as they were a moment ago. */
export interface Sample {
  readonly environments: readonly { readonly id: number; readonly name: string; readonly apiKey: string }[];
  readonly identities: readonly SampledIdentity[];
  readonly traits: readonly { readonly id: number; readonly identityId: number; readonly apiKey: string }[];
  readonly overrides: readonly {
    readonly id: number;
    readonly featureId: number;
    readonly identityId: number;
    readonly environmentId: number;
    readonly apiKey: string;
  }[];
  readonly options: readonly number[];
}

/** The project that all clients write to, and its current content. */
export interface Population {
  readonly project: SeededProject;
  /** Features used only by the soak; each may be deleted once. */
  readonly disposableFeatures: readonly number[];
  /** A feature with overrides by Edge clients only, none in Core. */
  readonly edgeFeature: number;
  current(): Sample;
  /** Samples Core every second until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>;
  /** Samples once, immediately. */
  update(): Promise<void>;
}

/**
 * Identities that administrators leave alone: `shared-…` have a trait that Edge clients also set, `both-…` are also
 * created on Edge, `canary-…` measure the lag of replay.
 */
const SPARED = '^(shared|both|canary)-';
const DISPOSABLE_FEATURES = 5;
const LOOK_MS = 1000;

const ENVIRONMENTS = `SELECT id, name, api_key AS "apiKey" FROM environments_environment
  WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id`;
const IDENTITIES = `SELECT i.id, i.identifier, e.api_key AS "apiKey"
  FROM environments_identity i JOIN environments_environment e ON e.id = i.environment_id
  WHERE e.project_id = $1 AND e.deleted_at IS NULL AND i.identifier !~ '${SPARED}' ORDER BY random() LIMIT 200`;
const TRAITS = `SELECT t.id, t.identity_id AS "identityId", e.api_key AS "apiKey"
  FROM environments_trait t JOIN environments_identity i ON i.id = t.identity_id
  JOIN environments_environment e ON e.id = i.environment_id WHERE i.id = ANY ($1) ORDER BY random() LIMIT 200`;
const OVERRIDES = `SELECT s.id, s.feature_id AS "featureId", s.identity_id AS "identityId",
    e.id AS "environmentId", e.api_key AS "apiKey"
  FROM features_featurestate s JOIN environments_environment e ON e.id = s.environment_id
  JOIN environments_identity i ON i.id = s.identity_id
  WHERE e.project_id = $1 AND e.deleted_at IS NULL AND s.deleted_at IS NULL AND i.identifier !~ '${SPARED}'
  ORDER BY random() LIMIT 100`;
const OPTIONS = 'SELECT id FROM multivariate_multivariatefeatureoption WHERE feature_id = $1 ORDER BY id';

/** Adds the soak's own features to the seeded project, and takes the first sample. */
export async function openPopulation(
  databaseUrl: string,
  project: SeededProject,
  clock: Clock = systemClock,
): Promise<Population & AsyncDisposable> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  const rows = async (text: string, values: unknown[]) => (await pool.query(text, values)).rows;
  const addFeature = async (name: string): Promise<number> =>
    (await rows(INSERT_FEATURE, [project.projectId, name]))[0].id;
  const disposableFeatures: number[] = [];
  for (let index = 1; index <= DISPOSABLE_FEATURES; index++) {
    disposableFeatures.push(await addFeature(`disposable-${index}`));
  }
  const edgeFeature = await addFeature('edge-only');
  let sample: Sample = { environments: [], identities: [], traits: [], overrides: [], options: [] };

  async function update(): Promise<void> {
    const identities: SampledIdentity[] = await rows(IDENTITIES, [project.projectId]);
    sample = {
      environments: await rows(ENVIRONMENTS, [project.projectId]),
      identities,
      traits: await rows(TRAITS, [identities.map(({ id }) => id)]),
      overrides: await rows(OVERRIDES, [project.projectId]),
      options: (await rows(OPTIONS, [project.features.checkout])).map(({ id }) => id),
    };
  }

  await update();
  return {
    project,
    disposableFeatures,
    edgeFeature,
    current: () => sample,
    update,
    async follow(signal) {
      while (!signal.aborted) {
        await update();
        await clock.sleep(LOOK_MS, signal).catch(() => {});
      }
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

const INSERT_FEATURE = `INSERT INTO features_feature (uuid, project_id, name, type, initial_value, is_archived)
  VALUES (gen_random_uuid(), $1, $2, 'STANDARD', 'default', false) RETURNING id`;
