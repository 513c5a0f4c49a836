import { removeStates } from './feature-states.ts';
import { isDuplicate, type Query, type Session } from './session.ts';

export interface Identity {
  readonly id: bigint;
  readonly identifier: string;
  readonly environmentId: bigint;
}

const COLUMNS = 'id, identifier, environment_id AS "environmentId"';

export async function findIdentity(
  read: Query,
  environmentId: bigint,
  identifier: string,
): Promise<Identity | undefined> {
  const [identity] = await read<Identity>(
    `SELECT ${COLUMNS} FROM environments_identity WHERE environment_id = $1 AND identifier = $2`,
    [environmentId, identifier],
  );
  return identity;
}

/** In any environment. */
export async function findIdentityById(read: Query, id: bigint): Promise<Identity | undefined> {
  const [identity] = await read<Identity>(`SELECT ${COLUMNS} FROM environments_identity WHERE id = $1`, [id]);
  return identity;
}

/** One page in order of creation; `search` as sent by the dashboard: part of an identifier, or all of it in quotes. */
export async function listIdentities(
  read: Query,
  environmentId: bigint,
  { search, limit, offset }: { search: string; limit: number; offset: number },
): Promise<{ count: bigint; identities: Identity[] }> {
  const exact = search.length > 1 && search.startsWith('"') && search.endsWith('"');
  const condition = exact ? 'identifier = $2' : "identifier ILIKE '%' || $2 || '%'";
  const values = [environmentId, exact ? search.replaceAll('"', '') : search.replace(/[\\%_]/g, '\\$&')];
  const where = `FROM environments_identity WHERE environment_id = $1 AND ${condition}`;
  const [total] = await read<{ count: bigint }>(`SELECT count(*) AS count ${where}`, values);
  const identities = await read<Identity>(
    `SELECT ${COLUMNS} ${where} ORDER BY created_date LIMIT ${limit} OFFSET ${offset}`,
    values,
  );
  return { count: total!.count, identities };
}

/** Django's `get_or_create`: survives a concurrent creation. */
export async function getOrCreateIdentity(
  session: Session,
  environmentId: bigint,
  identifier: string,
): Promise<{ identity: Identity; created: boolean }> {
  const existing = await findIdentity(session.read, environmentId, identifier);
  if (existing !== undefined) return { identity: existing, created: false };
  try {
    return { identity: await createIdentity(session, environmentId, identifier), created: true };
  } catch (error) {
    const concurrent = isDuplicate(error) ? await findIdentity(session.read, environmentId, identifier) : undefined;
    if (concurrent === undefined) throw error;
    return { identity: concurrent, created: false };
  }
}

export async function createIdentity(session: Session, environmentId: bigint, identifier: string): Promise<Identity> {
  const [identity] = await session.write<Identity>(
    `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
     VALUES ($2, now(), $1, '{}') RETURNING ${COLUMNS}`,
    [environmentId, identifier],
  );
  return identity!;
}

export async function renameIdentity(session: Session, id: bigint, identifier: string): Promise<void> {
  await session.write('UPDATE environments_identity SET identifier = $2 WHERE id = $1', [id, identifier]);
}

/** Deletes for good, with traits and overrides, in one transaction. */
export async function deleteIdentity(session: Session, id: bigint): Promise<void> {
  await session.atomic(async (query) => {
    await query('DELETE FROM environments_trait WHERE identity_id = $1', [id]);
    await removeStates(query, 's.identity_id = $1', [id]);
    await query('DELETE FROM environments_identity WHERE id = $1', [id]);
  });
}
