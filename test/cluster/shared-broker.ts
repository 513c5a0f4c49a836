import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { DYNAMODB_CLIENT, startDynamodb } from './dynamodb.ts';
import type { RegionalServer } from './global-table/wire.ts';
import { startNats } from './nats.ts';
import { type Postgres, startPostgres } from './postgres.ts';

/** Core's tables, loaded into the template of every test database. */
const SCHEMA = fileURLToPath(new URL('../core/schema.sql', import.meta.url));

interface Stoppable {
  stop(): Promise<void>;
}

/** The requests of test files; the answers are the return values of `shared.ts`. */
export interface SharedServices {
  createDatabase(request: { schema: boolean }): Promise<{ url: string; name: string }>;
  dropDatabase(request: { name: string }): Promise<Record<string, never>>;
  dynamodb(): Promise<EdgeAccess>;
  regionalDynamodb(): Promise<RegionalServer>;
  nats(): Promise<{ url: string }>;
  kubernetes(): Promise<Pick<ControlPlane, 'kubeconfig' | 'server' | 'tls'>>;
}

export interface BrokerOptions {
  /** Another server for Edge's tables instead of DynamoDB Local. */
  startEdge?(): Promise<Stoppable & EdgeAccess>;
}

type EdgeAccess = {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: typeof DYNAMODB_CLIENT.credentials;
};

export interface Broker extends Stoppable {
  readonly url: string;
}

/**
 * Holds the services that all test files of a run share. The files run in separate processes and ask over HTTP;
 * each service starts at its first request.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const { services, stop: stopServices } = createServices(options);
  const server = createServer((request, response) => {
    answer(services, request).then(
      (body) => response.writeHead(200).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      await closeServer(server);
      await stopServices();
    },
  };
}

async function answer(services: SharedServices, request: IncomingMessage): Promise<unknown> {
  const method = (request.url ?? '').slice(1);
  if (!Object.hasOwn(services, method)) throw new Error(`There is no shared service "${method}"`);
  const call = services[method as keyof SharedServices] as (argument: unknown) => Promise<unknown>;
  return await call(JSON.parse((await text(request)) || '{}'));
}

function createServices({ startEdge = startDynamodbLocal }: BrokerOptions): {
  services: SharedServices;
  stop(): Promise<void>;
} {
  const started: Promise<Stoppable>[] = [];
  const once = <T extends Stoppable>(start: () => Promise<T>) =>
    memo(() => {
      const starting = start();
      started.push(starting);
      return starting;
    });
  const nats = once(startNats);
  const dynamodb = once(startEdge);
  const regional = once(() => startDynamodb({ regional: true }));
  const postgres = once(startPostgres);
  const kubernetes = once(startControlPlane);
  const template = memo(async () => createTemplate(await postgres()));
  return {
    services: {
      async createDatabase({ schema }) {
        const server = await postgres();
        const name = `test_${randomBytes(6).toString('hex')}`;
        await execute(server.url, `CREATE DATABASE ${name}${schema ? ` TEMPLATE ${await template()}` : ''}`);
        return { name, url: server.urlOf(name) };
      },
      async dropDatabase({ name }) {
        await execute((await postgres()).url, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
        return {};
      },
      async dynamodb() {
        const { endpoint, region, credentials } = await dynamodb();
        return { endpoint, region, credentials };
      },
      async regionalDynamodb() {
        return { endpoint: (await regional()).endpoint, accessKeyId: randomBytes(8).toString('hex') };
      },
      async nats() {
        return { url: (await nats()).url };
      },
      async kubernetes() {
        const { kubeconfig, server, tls } = await kubernetes();
        return { kubeconfig, server, tls };
      },
    },
    async stop() {
      const settled = await Promise.allSettled(started);
      await Promise.all(settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value.stop()] : [])));
    },
  };
}

async function startDynamodbLocal(): Promise<Stoppable & EdgeAccess> {
  const { endpoint, stop } = await startDynamodb();
  return { endpoint, ...DYNAMODB_CLIENT, stop };
}

/** The second caller gets the first one's promise; a failure is every caller's failure. */
function memo<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** A database with Core's schema, the template of test databases, made once per server and schema version. */
async function createTemplate(server: Postgres): Promise<string> {
  if (!existsSync(SCHEMA)) throw new Error(`${SCHEMA} is missing: only databases without Core's schema can be made`);
  const schema = readFileSync(SCHEMA, 'utf8');
  const name = `template_${createHash('sha256').update(schema).digest('hex').slice(0, 12)}`;
  await execute(server.url, `CREATE DATABASE ${name}`);
  await execute(server.urlOf(name), schema);
  return name;
}

async function execute(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
