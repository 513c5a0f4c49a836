import type { Database } from './database.ts';
import type { IdentityOrder } from './order.ts';

/**
 * A stretch of an environment's identities in one order: those after `after` and up to and including `until`. Null is
 * the open end.
 */
export interface Stretch {
  readonly environmentId: number;
  /** By identifier unless given. */
  readonly order?: IdentityOrder | undefined;
  readonly after: string | null;
  readonly until: string | null;
}

/** The newest identity of Core, in any project; 0 when there is none. */
export async function readNewestId(database: Database, signal?: AbortSignal): Promise<number> {
  const [row] = await database.read(
    (query) => query<{ id: number | null }>('SELECT max(id) AS id FROM environments_identity'),
    signal,
  );
  return row?.id ?? 0;
}

/**
 * Identities that are in this stretch now and existed when `newestId` was the newest one. Each is compared by itself:
 * an index that misses some when they are read would miss them here, too.
 *
 * @throws as {@link Database.read}
 */
export async function countStretch(
  database: Database,
  { environmentId, order, after, until }: Stretch,
  newestId: number,
  signal?: AbortSignal,
): Promise<number> {
  const where = boundsOf(unindexed(order), order, [environmentId, newestId], { after, until });
  const text = `SELECT count(*)::int AS n FROM environments_identity WHERE environment_id = $1 AND id <= $2 ${where.text}`;
  const [row] = await database.read((query) => query<{ n: number }>(text, where.values), signal);
  return row?.n ?? 0;
}

/** Identities per answer. */
const IDS_AT_ONCE = 50_000;

/** As {@link countStretch}, but returns the ids: each row is compared by itself. */
export async function* scanIds(
  database: Database,
  { environmentId, order, after, until }: Stretch,
  newestId: number,
  signal?: AbortSignal,
): AsyncGenerator<number[]> {
  for (let last = 0; ; ) {
    const where = boundsOf(unindexed(order), order, [environmentId, IDS_AT_ONCE, last, newestId], { after, until });
    const text = `SELECT id FROM environments_identity WHERE environment_id = $1 AND id > $3 AND id <= $4 ${where.text}
                   ORDER BY id LIMIT $2`;
    const rows = await database.read((query) => query<{ id: number }>(text, where.values), signal);
    const ids = rows.map(({ id }) => id);
    if (ids.length > 0) yield ids;
    if (ids.length < IDS_AT_ONCE) return;
    last = ids.at(-1)!;
  }
}

/** The same along the index, as pages are read: the present contents, in few reads. */
export async function* listIds(
  database: Database,
  { environmentId, order = 'identifier', after: start, until }: Stretch,
  newestId: number,
  signal?: AbortSignal,
): AsyncGenerator<number[]> {
  for (let after = start; ; ) {
    const where = boundsOf(order, order, [environmentId, IDS_AT_ONCE, newestId], { after, until });
    const text = `SELECT count(*)::int AS n, array_agg(id) FILTER (WHERE id <= $3) AS ids,
                         max(bound) FILTER (WHERE place = total)::text AS last
                    FROM (SELECT id, ${order} AS bound, row_number() OVER () AS place, count(*) OVER () AS total
                            FROM (SELECT * FROM environments_identity WHERE environment_id = $1 ${where.text}
                                   ORDER BY ${order} LIMIT $2) AS found) AS step`;
    type Row = { n: number; ids: number[] | null; last: string | null };
    const [row] = await database.read((query) => query<Row>(text, where.values), signal);
    if (row?.ids) yield row.ids;
    if (row === undefined || row.n < IDS_AT_ONCE) return;
    after = row.last;
  }
}

/** Wraps the column so that no index covers it. */
function unindexed(order: IdentityOrder | undefined): string {
  return order === 'id' ? 'id' : `(identifier || '')`;
}

function boundsOf(
  column: string,
  order: IdentityOrder | undefined,
  values: unknown[],
  { after, until }: Pick<Stretch, 'after' | 'until'>,
): { text: string; values: unknown[] } {
  const all = [...values];
  const parameter = (value: string) => `$${all.push(value)}${order === 'id' ? '::int' : ''}`;
  const bounds = [
    ...(after === null ? [] : [`AND ${column} > ${parameter(after)}`]),
    ...(until === null ? [] : [`AND ${column} <= ${parameter(until)}`]),
  ];
  return { text: bounds.join(' '), values: all };
}

/** The point where a walk along an environment's identities continues. */
export interface StepRequest {
  readonly environmentId: number;
  readonly order: IdentityOrder;
  /** Asks for {@link MeasuredStep.known}, for which the rows have to be read and not only the index. */
  readonly newestId: number | undefined;
  readonly after: string | null;
  /** Maximum number of identities. */
  readonly size: number;
}

/** The next identities of the index. */
export interface MeasuredStep {
  readonly identities: number;
  /** Those up to `newestId`. */
  readonly known: number;
  readonly last: string | null;
  /** Every identity was greater than the one before. */
  readonly isOrdered: boolean;
}

/** The next `size` identities in index order. The last one of the scan is the bound, regardless of comparisons. */
export async function measureStep(
  database: Database,
  { environmentId, order, newestId, after, size }: StepRequest,
  signal?: AbortSignal,
): Promise<MeasuredStep> {
  const values: unknown[] = [environmentId, size];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const behind = after === null ? '' : `AND ${order} > ${parameter(after)}${order === 'id' ? '::int' : ''}`;
  const isKnown = newestId === undefined ? 'true' : `id <= ${parameter(newestId)}`;
  const [step] = await database.read(
    (query) =>
      query<MeasuredStep & Record<string, unknown>>(
        `SELECT count(*)::int AS identities, count(*) FILTER (WHERE "isKnown")::int AS known,
                max(bound) FILTER (WHERE place = total)::text AS last,
                coalesce(bool_and(bound > previous), true) AS "isOrdered"
           FROM (SELECT bound, "isKnown", lag(bound) OVER () AS previous, row_number() OVER () AS place,
                        count(*) OVER () AS total
                   FROM (SELECT ${order} AS bound, ${isKnown} AS "isKnown" FROM environments_identity
                          WHERE environment_id = $1 ${behind} ORDER BY ${order} LIMIT $2) AS found) AS step`,
        values,
      ),
    signal,
  );
  return step ?? { identities: 0, known: 0, last: null, isOrdered: true };
}
