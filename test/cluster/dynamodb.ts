import { provide, requireTool } from './cache.ts';
import { createContainer } from './container.ts';
import { dynamodbArtifact } from './dynamodb-local.ts';
import { freePort } from './ports.ts';
import { probeHttp } from './probe.ts';
import { startProcess } from './processes.ts';
import { serviceProvider } from './provider.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { type Service, type ServiceSpec, superviseService } from './service.ts';

export interface DynamodbOptions {
  /** Java's heap limit in MB. */
  heapMb?: number;
  /** Use the optimising compiler too: slower to start, faster later. For benchmarks. */
  optimise?: boolean;
  /** A separate database for each access key and region in the signature, as in AWS, instead of one for all. */
  regional?: boolean;
  signal?: AbortSignal;
}

export interface Dynamodb extends Service {
  readonly endpoint: string;
  readonly port: number;
  readonly region: typeof DYNAMODB_CLIENT.region;
  readonly credentials: typeof DYNAMODB_CLIENT.credentials;
}

/** Client configuration for DynamoDB Local; it accepts any credentials and shares one database unless `regional`. */
export const DYNAMODB_CLIENT = {
  region: 'eu-west-2',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
} as const;

/** Starts a separate, in-memory DynamoDB Local: `restart()` loses its data. Ready in 1 to 2 s. */
export async function startDynamodb(options: DynamodbOptions = {}): Promise<Dynamodb> {
  const { signal } = options;
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const run = serviceProvider() === 'containers' ? inContainer(port, options) : await asProcess(port, options);
  const service = await superviseService({ ...run, ready: () => listsTables(endpoint), signal });
  return Object.assign(service, { endpoint, port, ...DYNAMODB_CLIENT });
}

type Run = Pick<ServiceSpec, 'name' | 'launch' | 'cleanUp'>;

const NAME = 'dynamodb-local';
/** Where the server listens inside a container. */
const PORT = 8000;

async function asProcess(port: number, options: DynamodbOptions): Promise<Run> {
  requireTool('java', 'run DynamoDB Local (Java 17 or later)');
  await provide([dynamodbArtifact], { signal: options.signal });
  const lib = dynamodbArtifact.path;
  const folder = createFolder('dynamodb');
  const args = describeServer({ classPath: `${lib}/*`, lib, port }, options);
  return {
    name: NAME,
    launch: () => startProcess({ name: NAME, command: 'java', args, folder }),
    cleanUp: () => removeFolder(folder),
  };
}

function inContainer(hostPort: number, options: DynamodbOptions): Run {
  const { launch, remove } = createContainer({ service: 'dynamodb', ...describeContainer(options), hostPort });
  return { name: NAME, launch, cleanUp: remove };
}

/** How to start a container of the image. */
export function describeContainer(options: DynamodbOptions): { args: string[]; port: number } {
  const lib = 'DynamoDBLocal_lib';
  return { args: describeServer({ classPath: `DynamoDBLocal.jar:${lib}/*`, lib, port: PORT }, options), port: PORT };
}

/** Arguments of `java`. */
function describeServer(
  { classPath, lib, port }: { classPath: string; lib: string; port: number },
  { heapMb = 512, optimise = false, regional = false }: DynamodbOptions,
): string[] {
  return [
    ...(optimise ? [] : ['-XX:TieredStopAtLevel=1']),
    ...['-XX:+UseSerialGC', '-Xms64m', `-Xmx${heapMb}m`, `-Djava.library.path=${lib}`, '-cp', classPath],
    'software.amazon.dynamodb.services.local.main.ServerRunner',
    ...(regional ? [] : ['-sharedDb']),
    ...['-inMemory', '-port', String(port), '-disableTelemetry'],
  ];
}

/** Any server answers a bare GET with 400; only a real call shows that this is DynamoDB and ready. */
async function listsTables(endpoint: string): Promise<boolean> {
  const answer = await probeHttp(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'DynamoDB_20120810.ListTables',
      authorization:
        'AWS4-HMAC-SHA256 Credential=local/20000101/eu-west-2/dynamodb/aws4_request, SignedHeaders=host, Signature=00',
    },
    body: '{}',
  });
  return answer.status === 200;
}
