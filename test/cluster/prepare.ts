/**
 * Fetches and builds everything that tests and demo run, so that they need not wait for it later; quick if everything
 * exists. `node test/cluster/prepare.ts [name…]` takes the names of binaries and `dynamodb-local` to limit it to those.
 */
import { BINARIES, type Binary, binaryArtifacts, CHART_TOOLS } from './binaries.ts';
import { type ProvideOptions, provide } from './cache.ts';
import { dynamodbArtifact } from './dynamodb-local.ts';

const PROGRAMS = [...BINARIES, ...CHART_TOOLS];
const DYNAMODB = 'dynamodb-local';

/** The parts of a cluster with all its services. */
export const CLUSTER: readonly string[] = [DYNAMODB, ...BINARIES];

/** @throws MissingToolError when something must be built and its tool is not installed */
export async function prepare(
  names: readonly string[] = [...PROGRAMS, DYNAMODB],
  options: ProvideOptions = {},
): Promise<void> {
  const unknown = names.filter((name) => name !== DYNAMODB && !isBinary(name));
  if (unknown.length > 0)
    throw new Error(`Unknown: ${unknown.join(', ')}. Known: ${[...PROGRAMS, DYNAMODB].join(', ')}`);
  const others = names.includes(DYNAMODB) ? [dynamodbArtifact] : [];
  await provide([...others, ...binaryArtifacts(names.filter(isBinary))], options);
}

function isBinary(name: string): name is Binary {
  return (PROGRAMS as readonly string[]).includes(name);
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  try {
    await prepare(names.length > 0 ? names : undefined);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
