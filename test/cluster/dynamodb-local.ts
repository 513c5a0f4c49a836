import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Artifact, CACHE, requireTool } from './cache.ts';
import { ProcessError, runCommand } from './processes.ts';
import { createFolder, removeFolder } from './reaper.ts';

/** The version comes from `tools/dynamodb-local/pom.xml`. */
const VERSION = '3.1.0';
const JAR_SHA256 = '3d6d35f34482d0fcbdd52d7ec2c0aa18cf937aab2b5a1e4605ad6b2052bac03c';

/** DynamoDB Local and its dependencies, from Maven Central; the checksum of its jar is pinned. */
export const dynamodbArtifact: Artifact = {
  title: `DynamoDB Local ${VERSION}`,
  path: join(CACHE, 'dynamodb-local', `${VERSION}-${process.platform}-${process.arch}`),
  lane: 'maven',
  weight: 20,
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
