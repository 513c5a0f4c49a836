import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { createFunctions } from './seed/functions.ts';
import { insertIdentities, type Population, TRAITS_PER_IDENTITY } from './seed/identities.ts';
import { withoutIndexes } from './seed/indexes.ts';
import { insertOverrides, OVERRIDES_PER_IDENTITY } from './seed/overrides.ts';
import { insertOrganisation, insertProject, type Project, type SeededEnvironment } from './seed/project.ts';

export interface SeedOptions {
  /** Number of identities to be migrated (without the few of the deleted environment). Default 20,000. */
  readonly identities?: number;
  /**
   * Number of identities of a second project, with interleaved ids and the same identifiers in environments of
   * the same names. Default: a tenth of `identities`, at least 20.
   */
  readonly neighbours?: number;
  /** Share of identities that Edge cannot store: five kinds in turn. Default 0. */
  readonly unmigratable?: number;
  /** Other values for the same shape. Default 1. */
  readonly seed?: number;
}

export interface SeededProject {
  readonly projectId: number;
  readonly environments: readonly SeededEnvironment[];
  /** Feature ids by name; `checkout` is multivariate. */
  readonly features: Project['features'];
  /** Identities in environments that are not deleted. */
  readonly identities: number;
  /** Of these, the ones that Edge cannot store. */
  readonly unmigratable: number;
  readonly neighbour: { readonly projectId: number; readonly environments: readonly SeededEnvironment[] };
}

/** Left in the soft-deleted environment, as by an older release. */
const LEFT_BEHIND = 3;

/**
 * Adds a project with identities, traits and overrides to a Core database, and another one interleaved with it that no
 * migration of the first may read or write.
 *
 * The rows are a pure function of the options and of the free ids, so an empty database always gets the same.
 * Needs a superuser (it loads without foreign key checks); writes in one transaction.
 */
export async function seedProject(url: string, options: SeedOptions = {}): Promise<SeededProject> {
  const { identities = 20_000, unmigratable = 0, seed = 1 } = options;
  const neighbours = Math.min(options.neighbours ?? Math.max(20, Math.floor(identities / 10)), identities);
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query("SET LOCAL session_replication_role = 'replica'");
    await client.query("SET LOCAL maintenance_work_mem = '256MB'");
    await createFunctions(client, seed);
    const organisation = await insertOrganisation(client);
    const project = await insertProject(client, organisation, 'Seeded');
    const neighbour = await insertProject(client, organisation, 'Neighbour');
    const load = () => loadPopulations(client, project, neighbour, { identities, neighbours, unmigratable });
    await withoutIndexes(client, identities, load);
    await advanceSequences(client);
    await client.query('COMMIT');
    await client.query('VACUUM (ANALYZE)');
    return {
      projectId: project.id,
      environments: project.environments,
      features: project.features,
      identities,
      unmigratable: Math.floor(identities * unmigratable),
      neighbour: { projectId: neighbour.id, environments: neighbour.environments },
    };
  } finally {
    await client.end();
  }
}

/** Exact numbers of rows of a project by table; `identities` is the sum over all of its environments. */
export async function countRows(
  url: string,
  projectId: number,
): Promise<{ identities: number; deletedIdentities: number; traits: number; overrides: number }> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(COUNTS, [projectId]);
    return rows[0];
  } finally {
    await client.end();
  }
}

async function loadPopulations(
  client: Client,
  project: Project,
  neighbour: Project,
  counts: { identities: number; neighbours: number; unmigratable: number },
): Promise<void> {
  const free = await freeIds(client);
  const own: Population = {
    count: counts.identities,
    firstId: free.identity,
    stride: 2,
    salt: '',
    environmentIds: slots(project),
    unmigratable: counts.unmigratable,
  };
  const others: Population = {
    ...own,
    count: counts.neighbours,
    firstId: free.identity + 1,
    salt: 'neighbour ',
    environmentIds: slots(neighbour),
    unmigratable: 0,
  };
  const leftBehind: Population = {
    ...others,
    count: LEFT_BEHIND,
    firstId: free.identity + 2 * counts.identities + 2,
    salt: 'left behind ',
    environmentIds: project.environments.filter(({ deleted }) => deleted).flatMap(({ id }) => Array(7).fill(id)),
  };
  for (const [population, features] of [
    [own, project.features],
    [others, neighbour.features],
    [leftBehind, project.features],
  ] as const) {
    await insertIdentities(client, population, free.trait);
    await insertOverrides(client, population, features, free);
    const overriding = (Math.floor(population.count / 20) + 1) * OVERRIDES_PER_IDENTITY;
    free.trait += population.count * TRAITS_PER_IDENTITY + 1;
    free.state += overriding;
    free.value += overriding;
    free.multivariate += 2 * overriding;
  }
}

/** Four of seven identities are in the first environment, two in the second, one in the third. */
function slots({ environments }: Project): number[] {
  return [0, 0, 0, 0, 1, 1, 2].map((index) => environments[index]!.id);
}

async function freeIds(client: Client) {
  const free = async (table: string) => {
    const { rows } = await client.query<{ free: number }>(`SELECT coalesce(max(id), 0) + 1 AS free FROM ${table}`);
    return rows[0]!.free;
  };
  return {
    identity: await free('environments_identity'),
    trait: await free('environments_trait'),
    state: await free('features_featurestate'),
    value: await free('features_featurestatevalue'),
    multivariate: await free('multivariate_multivariatefeaturestatevalue'),
  };
}

async function advanceSequences(client: Client): Promise<void> {
  for (const table of [
    'environments_identity',
    'environments_trait',
    'features_featurestate',
    'features_featurestatevalue',
    'multivariate_multivariatefeaturestatevalue',
  ]) {
    await client.query(`SELECT setval(pg_get_serial_sequence('${table}', 'id'), max(id) + 1) FROM ${table}`);
  }
}

const COUNTS = `
  SELECT count(*)::int AS identities,
    count(*) FILTER (WHERE e.deleted_at IS NOT NULL)::int AS "deletedIdentities",
    coalesce(sum((SELECT count(*) FROM environments_trait AS t WHERE t.identity_id = i.id)), 0)::int AS traits,
    coalesce(sum((SELECT count(*) FROM features_featurestate AS s
                  WHERE s.identity_id = i.id AND s.deleted_at IS NULL)), 0)::int AS overrides
  FROM environments_environment AS e JOIN environments_identity AS i ON i.environment_id = e.id
  WHERE e.project_id = $1`;

/** `node test/core/seed.ts --url postgres://… [--identities N] [--neighbours N] [--unmigratable SHARE] [--seed N]` */
async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { url: text, identities: text, neighbours: text, unmigratable: text, seed: text },
  });
  const { url, ...numbers } = values;
  if (url === undefined) throw new Error('--url is required');
  const options = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)]));
  console.log(JSON.stringify(await seedProject(url, options), null, 2));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
