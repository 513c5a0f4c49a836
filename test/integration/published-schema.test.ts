import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { openCore } from '@edge-migration/identity/core/core.ts';
import { type EncodedDocument, encodeIdentity } from '@edge-migration/identity/edge/document/document.ts';
import { overrideRows } from '@edge-migration/identity/edge/override-rows.ts';
import { insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import { insertVectors, PROJECTS } from '@edge-migration/identity/fixtures/vectors.ts';
import { numbered, WILD_PROJECT, wildIdentity } from '@edge-migration/identity/fixtures/wild-rows.ts';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Artifact, CACHE, provide } from '../cluster/cache.ts';
import { runCommand } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { createDatabase } from '../cluster/shared.ts';
import { seedProject } from '../core/seed.ts';

/** Flagsmith's own description of Edge's tables, with which its Edge API is built. */
const PACKAGES = ['flagsmith-common[flagsmith-schemas]==3.16.0', 'pydantic==2.14.3'];

const environment: Artifact = {
  title: `Python environment with ${PACKAGES.join(' and ')}`,
  path: join(CACHE, 'python', `flagsmith-schemas-3.16.0-${process.platform}-${process.arch}`),
  async build(to, signal) {
    const folder = createFolder('python');
    const run = (name: string, command: string, ...args: string[]) =>
      runCommand({ name, command, args, folder, signal });
    try {
      await run('venv', 'python3', '-m', 'venv', to);
      await run('pip', join(to, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', ...PACKAGES);
    } finally {
      await removeFolder(folder);
    }
  },
};

/** Reads `{"identity": …, "rows": […]}` per line and prints the schema's objections to each: nothing if it is valid. */
const CHECK = `
import json, sys
from decimal import Decimal
from pydantic import TypeAdapter, ValidationError
from flagsmith_schemas.dynamodb import EnvironmentV2IdentityOverride, Identity

def plain(value):
    (kind, content), = value.items()
    if kind == 'N': return Decimal(content)
    if kind == 'NULL': return None
    if kind == 'L': return [plain(element) for element in content]
    if kind == 'M': return {key: plain(member) for key, member in content.items()}
    return content

identity, override = TypeAdapter(Identity), TypeAdapter(EnvironmentV2IdentityOverride)
for line in sys.stdin:
    given = json.loads(line)
    try:
        identity.validate_python(plain({'M': given['identity']}))
        for row in given['rows']: override.validate_python(plain({'M': row}))
        print()
    except ValidationError as error:
        print(json.dumps(str(error)))
`;

/** All storable identities of these projects, as the copy would write them. */
async function encodeProjects(url: string, projects: readonly number[]) {
  const core = openCore({ databaseUrl: url }, { maxConnections: 1 });
  const documents: { environmentId: number; document: EncodedDocument }[] = [];
  let skipped = 0;
  try {
    for (const project of projects) {
      for (const environment of (await core.projects.get(project))?.environments ?? []) {
        for (let after: string | null = null; ; ) {
          const page = await core.identities.page({ environment, after, until: null, limit: 1000 });
          for (const identity of page.identities) {
            const encoded = encodeIdentity(identity, environment);
            if (encoded.kind === 'document') documents.push({ environmentId: environment.id, document: encoded });
            else skipped++;
          }
          if (page.last === null) break;
          after = page.last;
        }
      }
    }
  } finally {
    await core.close();
  }
  return { documents, skipped };
}

/** One line of Python's verdict per document; '' means accepted. */
async function validate({ documents }: Awaited<ReturnType<typeof encodeProjects>>): Promise<string[]> {
  const python = spawn(join(environment.path, 'bin', 'python'), ['-c', CHECK], { stdio: ['pipe', 'pipe', 'pipe'] });
  const exit = once(python, 'exit');
  const complaints = text(python.stderr);
  const verdicts: string[] = [];
  createInterface(python.stdout).on('line', (line) => verdicts.push(line));
  for (const { environmentId, document } of documents) {
    const rows = overrideRows(environmentId, document.item, 0);
    if (!python.stdin.write(`${JSON.stringify({ identity: document.item, rows })}\n`))
      await once(python.stdin, 'drain');
  }
  python.stdin.end();
  expect([await complaints, (await exit)[0]]).toEqual(['', 0]);
  expect(verdicts).toHaveLength(documents.length);
  return verdicts;
}

const python = spawnSync('python3', ['--version']);
const missing =
  python.error === undefined ? undefined : `NOT checked against Flagsmith's schema: ${python.error.message}`;
if (missing !== undefined) process.stderr.write(`${missing}\n`);

describe.skipIf(missing !== undefined)("Flagsmith's published schema of Edge's documents", { timeout: 600_000 }, () => {
  beforeAll(() => provide([environment]));

  test('accepts every document and override row of 20,000 ordinary identities', async () => {
    await using database = await createDatabase();
    const { projectId } = await seedProject(database.url, { identities: 20_000 });
    const encoded = await encodeProjects(database.url, [projectId]);
    expect(encoded.documents).toHaveLength(20_000);
    expect((await validate(encoded)).filter((verdict) => verdict !== '')).toEqual([]);
  });

  test('accepts every document of the vectors that Edge can hold', async () => {
    await using database = await createDatabase();
    await insertVectors(database.url);
    const encoded = await encodeProjects(database.url, PROJECTS);
    expect([encoded.documents.length, encoded.skipped]).toEqual([60, 18]);
    const verdicts = await validate(encoded);
    expect(verdicts.filter((verdict) => verdict !== '')).toEqual([]);
  });

  test('accepts the documents of wild identities', async () => {
    await using database = await createDatabase();
    const { tables } = numbered(fc.sample(wildIdentity, 1000), 1);
    await insertRows(database.url, WILD_PROJECT);
    await insertRows(database.url, tables);
    const encoded = await encodeProjects(database.url, [1]);
    expect(encoded.documents.length).toBeGreaterThan(300);
    expect((await validate(encoded)).filter((verdict) => verdict !== '')).toEqual([]);
  });

  test('rejects what we omit: a trait without value and a legacy type', async () => {
    const item = (trait_value: object, type: string) => ({
      composite_key: { S: 'k_i' },
      environment_api_key: { S: 'k' },
      identifier: { S: 'i' },
      created_date: { S: '2024-01-02T03:04:05+00:00' },
      identity_uuid: { S: '5d1f3a2b-7c8d-4e9f-a0b1-c2d3e4f5a6b7' },
      identity_traits: { L: [{ M: { trait_key: { S: 'k' }, trait_value } }] },
      identity_features: {
        L: [
          {
            M: {
              feature: { M: { id: { N: '1' }, name: { S: 'f' }, type: { S: type } } },
              enabled: { BOOL: true },
              feature_state_value: { NULL: true },
            },
          },
        ],
      },
    });
    const documents = [item({ S: 'v' }, 'STANDARD'), item({ NULL: true }, 'STANDARD'), item({ S: 'v' }, 'FLAG')].map(
      (document) => ({ environmentId: 1, document: { kind: 'document', key: 'k_i', item: document, bytes: 0 } }),
    );
    const verdicts = await validate({ documents: documents as never, skipped: 0 });
    expect(verdicts).toEqual(['', expect.stringContaining('trait_value'), expect.stringContaining('STANDARD')]);
  });
});
