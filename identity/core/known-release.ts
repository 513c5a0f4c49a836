import { type Clock, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import { type CoreRelease, findRelease } from './release.ts';
import type { Query, TransactionSession } from './transaction.ts';

/** An upgrade of Flagsmith breaks no connection of ours, so what is known is asked again after this long. */
const KNOWN_MS = 60_000;

/** The knowledge about Core's release. */
export interface KnownRelease {
  /** Undefined: this connection has to ask, because a new connection may see another release. */
  of(connection: object): CoreRelease | undefined;
  /** Asks in this transaction, on behalf of all. */
  find(query: Query, session: TransactionSession): Promise<CoreRelease>;
}

/** Remembers the release that was found last, and which connections have asked. */
export function createKnownRelease(database: string, clock: Clock): KnownRelease {
  const asked = new WeakSet<object>();
  let found: { readonly release: CoreRelease; readonly at: Moment } | undefined;

  return {
    of(connection) {
      const isKnown = found !== undefined && asked.has(connection) && mostSince(clock, found.at) < KNOWN_MS;
      return isKnown ? found?.release : undefined;
    },
    async find(query, { connection, begun }) {
      const at = momentOf(clock);
      const release = await findRelease(query, database);
      // A standby may not have the upgrade yet.
      await begun;
      asked.add(connection);
      found = { release, at };
      return release;
    },
  };
}
