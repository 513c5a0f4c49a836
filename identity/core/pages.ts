import type { Core } from './database.ts';
import { ResultTooLarge } from './errors.ts';
import type { CoreEnvironment, CoreIdentity } from './identity.ts';
import { identityColumns } from './identity-query.ts';
import type { IdentityOrder } from './order.ts';
import type { CoreRelease } from './release.ts';

export interface PageRequest {
  readonly environment: Pick<CoreEnvironment, 'id'>;
  /** By identifier unless given. */
  readonly order?: IdentityOrder | undefined;
  /** Identifier, or id, to start behind; null starts at the beginning. */
  readonly after: string | null;
  /** Last identifier, or id, that still belongs to the range; null has no end. */
  readonly until: string | null;
  /** Identities at most. */
  readonly limit: number;
  /** Characters of rows at most, and one identity more; {@link MAX_PAGE_SIZE} unless given. */
  readonly maxSize?: number;
}

/**
 * Characters of rows that a page holds, whatever the number of identities. Rows take about twice as much memory,
 * documents several times as much.
 */
export const MAX_PAGE_SIZE = 2 * 2 ** 20;

export interface Page {
  /** Ascending; by identifier it is in the database's collation: never compare identifiers in JavaScript. */
  readonly identities: CoreIdentity[];
  /** The last one's {@link boundOf}, behind which the next page starts; null when the page is empty and the range read. */
  readonly last: string | null;
  /** The range has no more identities. A page with fewer than `limit` may have been cut by its size. */
  readonly isLast: boolean;
  /** Characters of its rows. */
  readonly size: number;
}

/**
 * Reads the next identities of an environment with their traits and live overrides: one statement, by keyset over the
 * unique index (environment_id, identifier), so that no other environment's rows are touched.
 *
 * @throws as {@link Core.read}
 */
export async function readPage(
  core: Core,
  release: CoreRelease,
  request: PageRequest,
  signal?: AbortSignal,
): Promise<Page> {
  const { text, values } = pageStatement(release, request);
  const { maxSize = MAX_PAGE_SIZE, limit, order = 'identifier' } = request;
  const { rows, sizes, isCut } = await core.read((query) => query.bounded<CoreIdentity>(text, values, maxSize), signal);
  const last = rows.at(-1);
  return {
    identities: rows,
    last: last === undefined ? null : boundOf(last, order),
    isLast: !isCut && rows.length < limit,
    size: sizes.reduce((sum, size) => sum + size, 0),
  };
}

/** The statement of {@link readPage}. */
export function pageStatement(
  release: CoreRelease,
  { environment, order = 'identifier', after, until, limit }: PageRequest,
): Statement {
  const values: unknown[] = [environment.id, limit];
  const bounds: string[] = [];
  const parameter = (value: string) => `$${values.push(value)}${order === 'id' ? '::int' : ''}`;
  if (after !== null) bounds.push(`AND ${order} > ${parameter(after)}`);
  if (until !== null) bounds.push(`AND ${order} <= ${parameter(until)}`);
  const where = `environment_id = $1 ${bounds.join(' ')} ORDER BY ${order} LIMIT $2`;
  return identityStatement(release, where, values, order);
}

/** An identity as a bound of a range or a page in that order. */
export function boundOf(
  { id, identifier }: Pick<CoreIdentity, 'id' | 'identifier'>,
  order: IdentityOrder = 'identifier',
): string {
  return order === 'id' ? String(id) : identifier;
}

/** The identities of the environment among these ids; those that Core no longer has are left out. */
export function readIdentities(
  core: Core,
  release: CoreRelease,
  environment: Pick<CoreEnvironment, 'id'>,
  identityIds: readonly number[],
  signal?: AbortSignal,
): Promise<CoreIdentity[]> {
  const where = 'environment_id = $1 AND id = ANY ($2)';
  return readIdentitiesBy(core, identityStatement(release, where, [environment.id, identityIds]), signal);
}

/** Where an identity is, or would be. */
export interface IdentityPlace {
  readonly environmentId: number;
  readonly identifier: string;
}

/**
 * The identities at these places as they are now, of any environments, in the order of the places; undefined where Core
 * has none. One statement, so all are of one snapshot.
 *
 * @throws ResultTooLarge when there are several places and their rows have more than {@link MAX_PAGE_SIZE} characters
 *   together; as {@link Core.read}
 */
export async function readIdentitiesAt(
  core: Core,
  release: CoreRelease,
  places: readonly IdentityPlace[],
  signal?: AbortSignal,
): Promise<(CoreIdentity | undefined)[]> {
  return (await measureIdentitiesAt(core, release, places, signal)).map((found) => found?.identity);
}

/** An identity and the characters of its rows. */
interface MeasuredIdentity {
  readonly identity: CoreIdentity;
  readonly size: number;
}

/** As {@link readIdentitiesAt}, with their sizes. */
async function measureIdentitiesAt(
  core: Core,
  release: CoreRelease,
  places: readonly IdentityPlace[],
  signal?: AbortSignal,
): Promise<(MeasuredIdentity | undefined)[]> {
  const found = new Array<MeasuredIdentity | undefined>(places.length).fill(undefined);
  const statement = {
    // The lateral limit makes it one look into the unique index for each place, whatever the planner thinks of the rest.
    text: `SELECT i.position, ${identityColumns(release)}
             FROM (SELECT place.position, one.*
                     FROM unnest($1::int[], $2::text[]) WITH ORDINALITY place (environment_id, identifier, position),
                  LATERAL (SELECT * FROM environments_identity known
                            WHERE known.environment_id = place.environment_id AND known.identifier = place.identifier
                              AND known.identifier COLLATE "C" = place.identifier
                            LIMIT 1) one) i`,
    values: [places.map(({ environmentId }) => environmentId), places.map(({ identifier }) => identifier)],
  };
  const { rows, sizes, isCut } = await core.read(
    (query) => query.bounded<PlacedIdentity>(statement.text, statement.values, MAX_PAGE_SIZE),
    signal,
  );
  if (isCut) throw new ResultTooLarge(`The rows of ${places.length} identities are too large to be read at once`);
  for (const [index, { position, ...identity }] of rows.entries()) {
    found[Number(position) - 1] = { identity, size: sizes[index]! };
  }
  return found;
}

/** With its number, from 1, among the places that were asked for. */
interface PlacedIdentity extends CoreIdentity {
  readonly position: string;
}

/** One identity as it is now, or undefined when Core has none of that identifier. */
export async function readIdentity(
  core: Core,
  release: CoreRelease,
  { environmentId, identifier }: IdentityPlace,
  signal?: AbortSignal,
): Promise<CoreIdentity | undefined> {
  // Under a nondeterministic collation an index look-up finds other names, too: ALICE is not alice.
  const where = 'environment_id = $1 AND identifier = $2 AND identifier COLLATE "C" = $2';
  const statement = identityStatement(release, where, [environmentId, identifier]);
  return (await readIdentitiesBy(core, statement, signal))[0];
}

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

function identityStatement(
  release: CoreRelease,
  where: string,
  values: readonly unknown[],
  order: IdentityOrder = 'identifier',
): Statement {
  return {
    text: `SELECT ${identityColumns(release)}
             FROM (SELECT * FROM environments_identity WHERE ${where}) i ORDER BY i.${order}`,
    values,
  };
}

function readIdentitiesBy(core: Core, { text, values }: Statement, signal?: AbortSignal): Promise<CoreIdentity[]> {
  return core.read((query) => query<CoreIdentity>(text, values), signal);
}
