import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Artifact, CACHE, provide, requireTool } from './cache.ts';
import { freePort } from './ports.ts';
import { probeHttp } from './probe.ts';
import { ProcessError, runCommand } from './processes.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { type Service, startService } from './service.ts';

/** The version is `tools/dynamodb-local/pom.xml`'s. */
const VERSION = '3.1.0';
const JAR_SHA256 = '3d6d35f34482d0fcbdd52d7ec2c0aa18cf937aab2b5a1e4605ad6b2052bac03c';

export interface DynamodbOptions {
  /** Java's heap limit in MB. */
  heapMb?: number;
  /** Use the optimising compiler too: slower to start, faster after a while. For benchmarks. */
  optimise?: boolean;
  signal?: AbortSignal;
}

export interface Dynamodb extends Service {
  readonly endpoint: string;
  readonly port: number;
  readonly region: typeof DYNAMODB_CLIENT.region;
  readonly credentials: typeof DYNAMODB_CLIENT.credentials;
}

/** What clients of DynamoDB Local have to be configured with; it accepts any credentials and shares one database. */
export const DYNAMODB_CLIENT = {
  region: 'eu-west-2',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
} as const;

/** DynamoDB Local and what it needs, from Maven Central; its jar's checksum is pinned. */
export const dynamodbArtifact: Artifact = {
  title: `DynamoDB Local ${VERSION}`,
  path: join(CACHE, 'dynamodb-local', `${VERSION}-${process.platform}-${process.arch}`),
  async build(to, signal) {
    requireTool('mvn', 'fetch DynamoDB Local from Maven Central');
    const folder = createFolder('maven');
    const goals = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${to}`];
    const pom = fileURLToPath(new URL('./tools/dynamodb-local/pom.xml', import.meta.url));
    try {
      await runCommand({ name: 'mvn', command: 'mvn', args: ['-q', '-B', '-f', pom, ...goals], folder, signal });
    } finally {
      await removeFolder(folder);
    }
    const jar = readFileSync(join(to, `DynamoDBLocal-${VERSION}.jar`));
    const sha256 = createHash('sha256').update(jar).digest('hex');
    if (sha256 !== JAR_SHA256) {
      throw new ProcessError(`DynamoDBLocal-${VERSION}.jar has the SHA-256 ${sha256}, expected ${JAR_SHA256}`);
    }
  },
};

/** Starts a DynamoDB Local of its own, in memory: its data is gone after `restart()`. Ready in 1 to 2 s. */
export async function startDynamodb(options: DynamodbOptions = {}): Promise<Dynamodb> {
  const { heapMb = 512, optimise = false, signal } = options;
  requireTool('java', 'run DynamoDB Local (Java 17 or later)');
  await provide([dynamodbArtifact], signal);
  const lib = dynamodbArtifact.path;
  const folder = createFolder('dynamodb');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const service = await startService({
    name: 'dynamodb-local',
    command: 'java',
    args: [
      ...(optimise ? [] : ['-XX:TieredStopAtLevel=1']),
      ...['-XX:+UseSerialGC', '-Xms64m', `-Xmx${heapMb}m`, `-Djava.library.path=${lib}`, '-cp', `${lib}/*`],
      'software.amazon.dynamodb.services.local.main.ServerRunner',
      ...['-inMemory', '-sharedDb', '-port', String(port), '-disableTelemetry'],
    ],
    folder,
    ready: () => listsTables(endpoint),
    cleanUp: () => removeFolder(folder),
    signal,
  });
  return Object.assign(service, { endpoint, port, ...DYNAMODB_CLIENT });
}

/** A bare GET is answered with 400 by any server; only a real call shows that this is DynamoDB, and ready. */
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
