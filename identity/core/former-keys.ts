import type { Database } from './database.ts';
import type { Query } from './transaction.ts';

/** The former owner of a client key that no environment has now. */
export type FormerOwner =
  | { readonly kind: 'environment'; readonly environmentId: number }
  /** Core has kept every key of every environment concerned, and this one is not among them. */
  | { readonly kind: 'none' }
  /** It may date from before Core kept keys. */
  | { readonly kind: 'unknown' };

/**
 * Looks up the owners of these keys in the history that Flagsmith keeps of its environments (django-simple-history: a
 * row for each state). Environments that are older than that table, or were never saved since, are missing in it.
 *
 * @param projectIds the projects concerned
 * @returns in the order of the keys
 * @throws as {@link Database.read}
 */
export async function readFormerOwners(
  database: Database,
  apiKeys: readonly string[],
  projectIds: readonly number[],
  signal?: AbortSignal,
): Promise<FormerOwner[]> {
  return database.readByRelease(async (query, release) => {
    if (!release.environmentHistory) return apiKeys.map(() => ({ kind: 'unknown' }));
    const owners = await findOwners(query, apiKeys);
    const isComplete = await knowsAll(query, projectIds);
    return apiKeys.map((key) => {
      const environmentId = owners.get(key);
      if (environmentId !== undefined) return { kind: 'environment', environmentId };
      return { kind: isComplete ? 'none' : 'unknown' };
    });
  }, signal);
}

async function findOwners(query: Query, apiKeys: readonly string[]): Promise<Map<string, number>> {
  const owners = await query<{ key: string; id: number }>(
    `SELECT DISTINCT ON (api_key) api_key AS key, id FROM environments_historicalenvironment
      WHERE api_key = ANY ($1) ORDER BY api_key, history_id DESC`,
    [apiKeys],
  );
  return new Map(owners.map(({ key, id }) => [key, id]));
}

/** Whether the history of every environment of these projects is complete from its beginning. */
async function knowsAll(query: Query, projectIds: readonly number[]): Promise<boolean> {
  const [row] = await query<{ complete: boolean }>(
    `SELECT NOT EXISTS (
       SELECT 1 FROM environments_environment e
        WHERE e.project_id = ANY ($1::int[])
          AND NOT EXISTS (SELECT 1 FROM environments_historicalenvironment h
                           WHERE h.id = e.id AND h.history_type = '+')) AS complete`,
    [projectIds],
  );
  return row?.complete ?? false;
}
