import type { Database } from './database.ts';
import { ResultTooLargeError } from './errors.ts';
import type { CoreIdentity } from './identity.ts';
import { type IdentityRow, identityColumns, identityOf } from './identity-query.ts';
import { MAX_PAGE_SIZE } from './pages.ts';
import type { CoreRelease } from './release.ts';

/** An identity's location according to its document: under a present or former client key of its environment. */
export interface KeyedPlace {
  readonly environmentId: number;
  readonly apiKey: string;
  readonly identifier: string;
}

/** Core's answer about a place at one moment. */
export interface KeyedIdentity {
  /** Id of the live environment that has the client key now; undefined: none has it. */
  readonly holder: number | undefined;
  /** The identity of the place's environment, whichever key that environment has by now. */
  readonly identity: CoreIdentity | undefined;
  /** Characters of its rows. */
  readonly size: number;
}

/**
 * The identities at these places as they are now, in the order of the places, each with the owner of its key. One
 * statement, hence one snapshot: an environment's key may change, and another environment take it, at any time.
 *
 * @throws ResultTooLargeError when there are several places and their rows have more than {@link MAX_PAGE_SIZE} characters
 *   together; as {@link Database.read}
 */
export async function readKeyedIdentities(
  database: Database,
  places: readonly KeyedPlace[],
  signal?: AbortSignal,
): Promise<KeyedIdentity[]> {
  const values = [
    places.map(({ environmentId }) => environmentId),
    places.map(({ apiKey }) => apiKey),
    places.map(({ identifier }) => identifier),
  ];
  const found = await database.readByRelease(async (query, release) => {
    const { rows, sizes, isCut } = await query.bounded<Row>(keyedStatement(release), values, MAX_PAGE_SIZE);
    if (isCut) return undefined;
    return rows.map(({ position: _, holder, ...row }, index) => ({
      holder: holder ?? undefined,
      identity: row.id === null ? undefined : identityOf(row as IdentityRow, release),
      size: sizes[index]!,
    }));
  }, signal);
  if (found !== undefined) return found;
  throw new ResultTooLargeError(`the rows of ${places.length} identities are too large to be read at once`);
}

function keyedStatement(release: CoreRelease): string {
  const live = release.environmentSoftDelete ? 'AND e.deleted_at IS NULL' : '';
  // The lateral limit forces one look-up in the unique index per place, however the planner estimates the rest.
  return `
    SELECT i.position, i.holder, ${identityColumns(release)}
      FROM (SELECT place.position, one.*,
                   (SELECT e.id FROM environments_environment e WHERE e.api_key = place.api_key ${live}) AS holder
              FROM unnest($1::int[], $2::text[], $3::text[])
                   WITH ORDINALITY place (environment_id, api_key, identifier, position)
              LEFT JOIN LATERAL (SELECT * FROM environments_identity known
                                  WHERE known.environment_id = place.environment_id
                                    AND known.identifier = place.identifier
                                    AND known.identifier COLLATE "C" = place.identifier
                                  LIMIT 1) one ON true) i
     ORDER BY i.position`;
}

interface Row extends Omit<IdentityRow, 'id'> {
  readonly position: string;
  readonly holder: number | null;
  readonly id: number | null;
}
