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
import { connect } from './transport.ts';

/** What stands before the host in `nats://user:password@host:port`; a password may hold an `@`. */
const USER_INFO = /^([a-z]+:\/\/)?(?:(.*)@)?([^@]*)$/s;

/** The addresses of servers as they may be shown: without users and passwords. */
export function showServers(servers: readonly string[]): string[] {
  return servers.map((server) => server.replace(USER_INFO, '$1$3'));
}

/** Settings of the connection to NATS, shared by every process that has one. */
export const natsSettings = {
  /**
   * `nats://host:port` or `tls://host:port`, separated by commas. As in every NATS client, `user:password@` or `token@`
   * may stand before the first host, percent-encoded; what files say goes first.
   */
  natsServers: z
    .string()
    .transform((servers) => servers.split(',').map((server) => server.trim()))
    .meta({ shown: (servers: string[]) => showServers(servers) }),
  /** PEM file of the certificate authority that signed the servers' certificates, when the system does not know it. */
  natsCaFile: z.string().optional(),
  /** PEM files of a client certificate, if the servers ask for one. */
  natsCertificateFile: z.string().optional(),
  natsKeyFile: z.string().optional(),
  /** TLS begins with the connection, before the server says anything (`handshake_first`). */
  natsTlsFirst: z.stringbool().default(false),
  /** One of: a `.creds` file (JWT and seed), an NKey seed file, a user with a password file. */
  natsCredentialsFile: z.string().optional(),
  natsNkeyFile: z.string().optional(),
  natsUser: z.string().optional(),
  natsPasswordFile: z.string().optional(),
};

export type NatsSettings = z.output<z.ZodObject<typeof natsSettings>>;

/** What a process is to NATS: each has a user with rights of its own (charts/edge-migration/files/nats-accounts.conf). */
export type NatsRole = 'operator' | 'applier' | 'sidecar';

/** Where answers come to. Each role has its own, so that its user need not, and cannot, hear what others are told. */
export function inboxPrefix(role: NatsRole): string {
  return `_INBOX.edge-${role}`;
}

export interface ConnectOptions {
  role: NatsRole;
  /** Shown in the server's list of connections. */
  name: string;
  clock: Clock;
  signal: AbortSignal;
  /** Told each time that it does not work out; it is tried again until it does. */
  onFailure(error: unknown): void;
}

/**
 * Connects, however long it takes, and stays connected: the connection reconnects for ever. It ends only with
 * `close()`.
 *
 * @throws the signal's reason when it is aborted before
 */
export async function connectNats(settings: NatsSettings, options: ConnectOptions): Promise<NatsConnection> {
  const { clock, signal, onFailure } = options;
  return retry(() => connect(connectionOptions(settings, options)), {
    ...{ policy: NATS_CONNECT, clock, signal, onRetry: onFailure },
    // Wrong credentials, and files that cannot be read, may be right tomorrow.
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
    // Credentials that are refused today may be accepted, or rotated, tomorrow.
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

/** A broken escape is none, but part of a password. */
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
