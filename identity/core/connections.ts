import { Pool, type PoolClient, type PoolConfig } from 'pg';
import type { CoreAddress, Encryption } from './database-url.ts';

/** Pooled connections, encrypted as the address demands. */
export interface Connections {
  connect(): Promise<PoolClient>;
  /** Closes them once their work is done, and accepts no more. */
  end(): Promise<void>;
}

/**
 * libpq's `sslmode=prefer` and `allow` fall back to the second choice where the server refuses the first. The choice
 * is kept until the server refuses it. Only a refusal counts: a certificate that cannot be verified is an error.
 */
export function createConnections(
  { encryptions, ...address }: CoreAddress,
  options: Omit<PoolConfig, 'ssl'>,
): Connections {
  const pools = encryptions.map((ssl) => createPool({ ...options, ...address, ssl }));
  const connecting = new Set<Promise<PoolClient>>();
  let taken = 0;
  let ended = false;

  async function choose(): Promise<PoolClient> {
    const tried = taken;
    try {
      return await pools[tried]!.connect();
    } catch (error) {
      if (pools.length === 1 || !isRefusal(error, encryptions[tried]!)) throw error;
      taken = 1 - tried;
      return await pools[taken]!.connect();
    }
  }

  return {
    async connect() {
      if (ended) throw new Error('the connections were closed');
      const one = choose();
      connecting.add(one);
      return await one.finally(() => connecting.delete(one));
    },
    async end() {
      ended = true;
      // A connection that is starting may need its second attempt first.
      await Promise.allSettled(connecting);
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}

function createPool(config: PoolConfig): Pool {
  const pool = new Pool(config);
  // A broken connection leaves the pool by itself; its user, or the opening of the next one, reports the failure.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function isRefusal(error: unknown, encryption: Encryption): boolean {
  return encryption === false ? wantsTls(error) : offersNoTls(error);
}

/** node-postgres has no code for it. */
export function offersNoTls(error: unknown): boolean {
  return error instanceof Error && error.message === 'The server does not support SSL connections';
}

/** `no pg_hba.conf entry for host …, no encryption`; `SSL off` before Postgres 14, `SSL required` of poolers. */
export function wantsTls(error: unknown): boolean {
  const { code, message = '' } = error as { code?: unknown; message?: string };
  return (code === '28000' || code === '08P01') && /no encryption|SSL off|(SSL|TLS) (is )?required/i.test(message);
}
