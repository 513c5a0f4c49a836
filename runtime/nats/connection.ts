import { readFileSync } from 'node:fs';
import {
  type Authenticator,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { NATS_CONNECT, NATS_PING_MS, NATS_RECONNECT_MS } from '../policies.ts';
import { retry } from '../retry.ts';
import { connectTransport } from './transport.ts';

/** The credentials before the host in `nats://user:password@host:port`; a password may contain an `@`. */
const USER_INFO = /^([a-z]+:\/\/)?(?:(.*)@)?([^@]*)$/s;

/** The addresses of servers for display: without users and passwords. */
export function showServers(servers: readonly string[]): string[] {
  return servers.map((server) => server.replace(USER_INFO, '$1$3'));
}

/** Settings of the connection to NATS, shared by every process that has one. */
export const natsSettings = {
  /**
   * `nats://host:port` or `tls://host:port`, separated by commas. As in every NATS client, `user:password@` or `token@`
   * may precede the first host, percent-encoded; files take precedence.
   */
  natsServers: z
    .string()
    .transform((servers) => servers.split(',').map((server) => server.trim()))
    .meta({ shown: (servers: string[]) => showServers(servers) }),
  /** PEM file of the certificate authority that signed the servers' certificates, if the system does not have it. */
  natsCaFile: z.string().optional(),
  /** PEM files of a client certificate, if the servers ask for one. */
  natsCertificateFile: z.string().optional(),
  natsKeyFile: z.string().optional(),
  /** TLS starts with the connection, before the server's first message (`handshake_first`). */
  natsTlsFirst: z.stringbool().default(false),
  /** One of: a `.creds` file (JWT and seed), an NKey seed file, a user with a password file. */
  natsCredentialsFile: z.string().optional(),
  natsNkeyFile: z.string().optional(),
  natsUser: z.string().optional(),
  natsPasswordFile: z.string().optional(),
};

export type NatsSettings = z.output<z.ZodObject<typeof natsSettings>>;

/**
 * The role of a process in NATS: each has a user with its own rights (charts/edge-migration/files/nats-accounts.conf).
 */
export type NatsRole = 'operator' | 'applier' | 'sidecar';

/**
 * The subject of replies. Each role has its own, so that its user neither needs nor is able to receive other roles'
 * replies.
 */
export function inboxPrefix(role: NatsRole): string {
  return `_INBOX.edge-${role}`;
}

export interface ConnectOptions {
  role: NatsRole;
  /** Shown in the server's list of connections. */
  name: string;
  clock: Clock;
  signal: AbortSignal;
  /** Called after each failed attempt; it is retried until it succeeds. */
  onFailure(error: unknown): void;
}

/**
 * Retries until it is connected, and stays connected: the connection always reconnects. It ends only with
 * `close()`.
 *
 * @throws the signal's reason if it is aborted before
 */
export async function connectNats(settings: NatsSettings, options: ConnectOptions): Promise<NatsConnection> {
  const { clock, signal, onFailure } = options;
  return retry(() => connectTransport(connectionOptions(settings, options)), {
    ...{ policy: NATS_CONNECT, clock, signal, onRetry: onFailure },
    // Wrong credentials and unreadable files may be corrected later.
    isWorthIt: () => true,
  });
}

function connectionOptions(
  settings: NatsSettings,
  { name, role }: Pick<ConnectOptions, 'name' | 'role'>,
): NodeConnectionOptions {
  const authenticator = authenticatorOf(settings);
  const tls = tlsOf(settings);
  return {
    servers: showServers(settings.natsServers),
    name,
    inboxPrefix: inboxPrefix(role),
    maxReconnectAttempts: -1,
    reconnectDelayHandler: reconnectDelay,
    // Credentials that are rejected now may be accepted, or rotated, later.
    ignoreAuthErrorAbort: true,
    pingInterval: NATS_PING_MS,
    maxPingOut: 2,
    timeout: 5000,
    ...(authenticator && { authenticator }),
    ...(tls && { tls }),
  };
}

function reconnectDelay(): number {
  const { shortest, longest } = NATS_RECONNECT_MS;
  return shortest + Math.random() * (longest - shortest);
}

/** Files are read at each connection, because Kubernetes and cert-manager rotate them in place. */
function authenticatorOf(settings: NatsSettings): Authenticator | undefined {
  const { natsCredentialsFile, natsNkeyFile, natsUser, natsPasswordFile, natsServers } = settings;
  if (natsCredentialsFile !== undefined) return credsAuthenticator(() => readFileSync(natsCredentialsFile));
  if (natsNkeyFile !== undefined) return nkeyAuthenticator(() => Buffer.from(readText(natsNkeyFile)));
  if (natsUser === undefined) return authenticatorInUrl(natsServers);
  return usernamePasswordAuthenticator(natsUser, () =>
    natsPasswordFile === undefined ? '' : readText(natsPasswordFile),
  );
}

function authenticatorInUrl(servers: readonly string[]): Authenticator | undefined {
  const given = servers.map((server) => USER_INFO.exec(server)?.[2]).find((userInfo) => userInfo !== undefined);
  if (given === undefined) return undefined;
  const [user = '', ...password] = given.split(':').map(decode);
  return password.length === 0 ? tokenAuthenticator(user) : usernamePasswordAuthenticator(user, password.join(':'));
}

/** An invalid escape is part of a password. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8').trim();
}

function tlsOf(settings: NatsSettings): NodeConnectionOptions['tls'] {
  const { natsCaFile, natsCertificateFile, natsKeyFile, natsTlsFirst, natsServers } = settings;
  const wanted =
    natsCaFile !== undefined ||
    natsCertificateFile !== undefined ||
    natsTlsFirst ||
    natsServers.some((server) => server.startsWith('tls://'));
  if (!wanted) return undefined;
  return {
    ...(natsCaFile && { caFile: natsCaFile }),
    ...(natsCertificateFile && { certFile: natsCertificateFile }),
    ...(natsKeyFile && { keyFile: natsKeyFile }),
    handshakeFirst: natsTlsFirst,
  };
}
