import type { Database } from './database.ts';
import { ResultTooLargeError } from './errors.ts';
import type { CoreEnvironment, CoreIdentity, IdentityPlace } from './identity.ts';
import { type IdentityRow, identityColumns, identityOf } from './identity-query.ts';
import type { IdentityOrder } from './order.ts';
import type { CoreRelease } from './release.ts';

export interface PageRequest {
  readonly environment: Pick<CoreEnvironment, 'id'>;
  /** By identifier unless given. */
  readonly order?: IdentityOrder | undefined;
  /** Identifier, or id, to start after; null starts at the beginning. */
  readonly after: string | null;
  /** Last identifier, or id, that still belongs to the range; null has no end. */
  readonly until: string | null;
  /** Maximum number of identities. */
  readonly limit: number;
  /** Maximum characters of rows, exceeded by one identity at most; {@link MAX_PAGE_SIZE} unless given. */
  readonly maxSize?: number;
}

/**
 * Characters of rows that a page holds, regardless of the number of identities. Rows take about twice as much memory,
 * documents several times as much.
 */
export const MAX_PAGE_SIZE = 2 * 2 ** 20;

export interface IdentityPage {
  /** Ascending; by identifier it is in the database's collation: never compare identifiers in JavaScript. */
  readonly identities: CoreIdentity[];
  /** {@link boundOf} the last one, after which the next page starts; null when the page is empty and the range read. */
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
 * @throws as {@link Database.read}
 */
export function readPage(database: Database, request: PageRequest, signal?: AbortSignal): Promise<IdentityPage> {
  const { maxSize = MAX_PAGE_SIZE, limit, order } = request;
  return database.readByRelease(async (query, release) => {
    const { text, values } = pageStatement(release, request);
    const { rows, sizes, isCut } = await query.bounded<IdentityRow>(text, values, maxSize);
    const last = rows.at(-1);
    return {
      identities: rows.map((row) => identityOf(row, release)),
      last: last === undefined ? null : boundOf(last, order),
      isLast: !isCut && rows.length < limit,
      size: sizes.reduce((sum, size) => sum + size, 0),
    };
  }, signal);
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
  database: Database,
  environment: Pick<CoreEnvironment, 'id'>,
  identityIds: readonly number[],
  signal?: AbortSignal,
): Promise<CoreIdentity[]> {
  const where = 'environment_id = $1 AND id = ANY ($2)';
  return readIdentitiesWhere(database, where, [environment.id, identityIds], signal);
}

/** One identity as it is now, or undefined when Core has none with that identifier. */
export async function readIdentity(
  database: Database,
  { environmentId, identifier }: IdentityPlace,
  signal?: AbortSignal,
): Promise<CoreIdentity | undefined> {
  // Under a nondeterministic collation an index look-up also finds other names: ALICE for alice.
  const where = 'environment_id = $1 AND identifier = $2 AND identifier COLLATE "C" = $2';
  return (await readIdentitiesWhere(database, where, [environmentId, identifier], signal))[0];
}

/**
 * The identities at these places as they are now, in any environments, in the order of the places; undefined where
 * Core has none. One statement, hence one snapshot.
 *
 * @throws ResultTooLargeError when there are several places and their rows have more than {@link MAX_PAGE_SIZE} characters
 *   together; as {@link Database.read}
 */
export async function readIdentitiesAt(
  database: Database,
  places: readonly IdentityPlace[],
  signal?: AbortSignal,
): Promise<(CoreIdentity | undefined)[]> {
  const values = [places.map(({ environmentId }) => environmentId), places.map(({ identifier }) => identifier)];
  const found = await database.readByRelease(async (query, release) => {
    const { rows, isCut } = await query.bounded<PlacedIdentity>(placedStatement(release), values, MAX_PAGE_SIZE);
    if (isCut) return undefined;
    const identities = new Map(rows.map(({ position, ...row }) => [Number(position), identityOf(row, release)]));
    return places.map((_, index) => identities.get(index + 1));
  }, signal);
  if (found !== undefined) return found;
  throw new ResultTooLargeError(`the rows of ${places.length} identities are too large to be read at once`);
}

/** With its number, from 1, among the places that were asked for. */
interface PlacedIdentity extends IdentityRow {
  readonly position: string;
}

function placedStatement(release: CoreRelease): string {
  // The lateral limit forces one look-up in the unique index per place, however the planner estimates the rest.
  return `SELECT i.position, ${identityColumns(release)}
            FROM (SELECT place.position, one.*
                    FROM unnest($1::int[], $2::text[]) WITH ORDINALITY place (environment_id, identifier, position),
                 LATERAL (SELECT * FROM environments_identity known
                           WHERE known.environment_id = place.environment_id AND known.identifier = place.identifier
                             AND known.identifier COLLATE "C" = place.identifier
                           LIMIT 1) one) i`;
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

function readIdentitiesWhere(
  database: Database,
  where: string,
  values: readonly unknown[],
  signal?: AbortSignal,
): Promise<CoreIdentity[]> {
  return database.readByRelease(async (query, release) => {
    const { text } = identityStatement(release, where, values);
    return (await query<IdentityRow>(text, values)).map((row) => identityOf(row, release));
  }, signal);
}
